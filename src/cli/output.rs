//! What a command prints: people's text aligned and coloured on a terminal, JSON as one object.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::text::{is_obeyed, json_in_one_line, shown};

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const CARE: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// Text without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|char| if is_obeyed(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// Refuses to go on where standard output is closed, before something is made that is shown once.
pub(super) fn can_show() -> io::Result<()> {
    // In the place of a closed one the runtime opens /dev/null for reading and writing.
    let (status, flags) = (rustix::fs::fstat(io::stdout())?, rustix::fs::fcntl_getfl(io::stdout())?);
    let device = rustix::fs::FileType::from_raw_mode(status.st_mode).is_char_device().then_some(status.st_rdev);
    if device == Some(rustix::fs::makedev(1, 3)) && flags.contains(rustix::fs::OFlags::RDWR) {
        return Err(io::Error::other(
            "nothing was done: standard output is closed, and what is shown once would be lost",
        ));
    }
    Ok(())
}

/// Prints `value` as one JSON object on one line.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let line = Zeroizing::new(serde_json::to_string(value)?);
    writeln!(io::stdout().lock(), "{}", json_in_one_line(&line))
}

/// Prints names and values in two columns; a row without a value is left out.
pub(super) fn fields(rows: &[(&str, String)]) -> io::Result<()> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = anstream::stdout().lock();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "{DIM}{name:width$}{DIM:#}  {}", plain(value))?;
    }
    Ok(())
}

/// A field of a JSON object as text, a list joined by spaces; nothing where there is none.
pub(super) fn text(of: &Value, name: &str) -> String {
    of.get(name).map(plain_text).unwrap_or_default()
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(plain_text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The object with a yes or no in the place of a truth.
pub(super) fn yes_or_no(value: &Value, name: &str) -> Value {
    let mut value = value.clone();
    if let Some(truth) = value.get_mut(name) {
        *truth = if *truth == Value::Bool(true) { "yes" } else { "no" }.into();
    }
    value
}

/// Prints the fields of a JSON object in two columns, a list joined by spaces.
pub(super) fn object(value: &Value) -> io::Result<()> {
    let fields_of = value.as_object().into_iter().flatten();
    let all = fields_of.map(|(name, value)| (name.replace('_', " "), plain_text(value)));
    let all: Vec<(String, String)> = all.collect();
    fields(&all.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>())
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

/// Prints a line of people's text.
pub(super) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{text}")
}

/// Prints what should be known on standard error.
pub(super) fn note(text: &impl std::fmt::Display) {
    let _nowhere_to_complain = writeln!(anstream::stderr().lock(), "{CARE}note:{CARE:#} {}", shown(&text.to_string()));
}

/// Prints an error on standard error. Whatever it quotes, no API key is in it.
pub(super) fn error(failure: &impl std::fmt::Display) {
    let _nowhere_to_complain =
        writeln!(anstream::stderr().lock(), "{BAD}error:{BAD:#} {}", shown(&failure.to_string()));
}

/// A duration, a list, or whatever else may be missing.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
