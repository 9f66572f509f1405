//! What a command prints: text for people, aligned and coloured on a terminal, or one JSON object.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::input::text::{is_obeyed, json_in_one_line, shown};

pub(super) const SUCCESS: Style = AnsiColor::Green.on_default().bold();
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// The text without characters that a terminal obeys.
fn plain(text: &str) -> String {
    text.chars().map(|char| if is_obeyed(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// Fails if standard output is closed, before the command makes something that it shows only once.
pub(super) fn can_show() -> io::Result<()> {
    refuse_closed("nothing was done: standard output is closed, so the result, which is shown only once, would be lost")
}

/// Fails if standard output is closed, for a command that only prints: a backup of nothing is not a success. One that
/// changes something, or answers by its exit code, goes on: a program may start it with such a /dev/null.
pub(super) fn can_print() -> io::Result<()> {
    refuse_closed("standard output is closed, so the result cannot be printed: redirect it to a file, or to a program")
}

fn refuse_closed(told: &str) -> io::Result<()> {
    // The runtime replaces a closed one with /dev/null, opened for reading and writing.
    let (status, flags) = (rustix::fs::fstat(io::stdout())?, rustix::fs::fcntl_getfl(io::stdout())?);
    let device = rustix::fs::FileType::from_raw_mode(status.st_mode).is_char_device().then_some(status.st_rdev);
    if device == Some(rustix::fs::makedev(1, 3)) && flags.contains(rustix::fs::OFlags::RDWR) {
        return Err(io::Error::other(told));
    }
    Ok(())
}

/// Prints `value` as one JSON object on one line.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let line = Zeroizing::new(serde_json::to_string(value)?);
    writeln!(io::stdout().lock(), "{}", json_in_one_line(&line))
}

/// Prints names and values in two columns, without the rows whose value is empty.
pub(super) fn fields<T: AsRef<str>>(rows: &[(&str, T)]) -> io::Result<()> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = anstream::stdout().lock();
    for (name, value) in rows.iter().map(|(name, value)| (name, value.as_ref())).filter(|(_, value)| !value.is_empty())
    {
        writeln!(out, "{DIM}{name:width$}{DIM:#}  {}", plain(value))?;
    }
    Ok(())
}

/// Prints the fields of an object in two columns: a list joined by spaces, a truth as yes or no.
pub(super) fn object(of: &impl Serialize) -> io::Result<()> {
    object_without(of, "")
}

/// The same without one field.
pub(super) fn object_without(of: &impl Serialize, field: &str) -> io::Result<()> {
    let value = serde_json::to_value(of)?;
    let wanted = value.as_object().into_iter().flatten().filter(|(name, _)| *name != field);
    let all: Vec<(String, String)> = wanted.map(|(name, value)| (name.replace('_', " "), cell(value))).collect();
    fields(&all.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(truth) => if *truth { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Prints rows under a head, every column as wide as its widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.len())).max().unwrap_or(0)
    };
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| format!("{cell:width$}", width = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut out = anstream::stdout().lock();
    writeln!(out, "{DIM}{}{DIM:#}", line(head.to_vec()))?;
    for row in rows {
        let row: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        writeln!(out, "{}", line(row.iter().map(String::as_str).collect()))?;
    }
    Ok(())
}

/// Prints a line for people.
pub(super) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{text}")
}

/// Prints a note on standard error.
pub(super) fn note(text: &impl std::fmt::Display) {
    let _nowhere_to_complain =
        writeln!(anstream::stderr().lock(), "{WARNING}note:{WARNING:#} {}", shown(&text.to_string()));
}

/// Prints an error on standard error. API keys in it are redacted.
pub(super) fn error(failure: &impl std::fmt::Display) {
    let _nowhere_to_complain =
        writeln!(anstream::stderr().lock(), "{ERROR}error:{ERROR:#} {}", shown(&failure.to_string()));
}

/// Prints on standard error what to do about an error.
pub(super) fn hint(text: &impl std::fmt::Display) {
    let _nowhere_to_complain = writeln!(anstream::stderr().lock(), "{DIM}hint:{DIM:#} {}", shown(&text.to_string()));
}

/// A value, or a dash in its place.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A time, or `never`.
pub(super) fn or_never(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}
