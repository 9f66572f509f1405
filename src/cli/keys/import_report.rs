//! What `bulla keys import` shows: progress, refused rows, tried keys, and the summary.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::import_arguments::row_error_with_arguments;
use crate::{
    action::import::{Progress, Summary},
    cli::output,
    imported::{RowError, SYSTEMS, System, Times, Tried},
};

/// Refused rows that the command shows; `--report` writes all of them.
const MAX_SHOWN: usize = 20;

/// Progress while an import runs, and the refused rows for its end.
pub(super) struct Report {
    /// Shows nothing if standard error is not a terminal.
    bar: ProgressBar,
    file: Option<BufWriter<File>>,
    first: Vec<RowError>,
}

impl Report {
    pub(super) fn new(length: Option<u64>, file: Option<File>) -> Self {
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), "{wide_bar} {percent:>3} %  {msg}  {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Report { bar, file: file.map(BufWriter::new), first: Vec::new() }
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<RowError>> {
        self.bar.finish_and_clear();
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(self.first)
    }
}

impl Progress for Report {
    fn refused(&mut self, error: &RowError) -> io::Result<()> {
        if self.first.len() < MAX_SHOWN {
            self.first.push(error.clone());
        }
        match &mut self.file {
            Some(file) => writeln!(file, "{}", row(error)),
            None => Ok(()),
        }
    }

    fn read(&mut self, bytes: u64, rows: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{rows} rows"));
    }
}

fn row(error: &RowError) -> Value {
    json!({"line": error.line, "reason": error.kind.code(), "detail": row_error_with_arguments(&error.kind)})
}

/// Prints everything as one JSON object.
pub(super) fn json(summary: &Summary, errors: &[RowError], tried: &[Tried], warnings: &[String]) -> io::Result<()> {
    let mut value = serde_json::to_value(summary)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("refusals".to_owned(), errors.iter().map(row).collect());
        if !tried.is_empty() {
            object.insert("tried".to_owned(), tried_json(tried));
        }
        if !warnings.is_empty() {
            object.insert("warnings".to_owned(), json!(warnings));
        }
    }
    output::json(&value)
}

/// The tried keys, by their place in the file.
fn tried_json(tried: &[Tried]) -> Value {
    let one = |(at, tried): (usize, &Tried)| json!({"key": at + 1, "line": tried.line(), "verified": tried.is_verified(), "detail": tried.to_string()});
    tried.iter().enumerate().map(one).collect()
}

/// Prints which row each tried key found.
fn print_tried(tried: &[Tried]) -> io::Result<()> {
    let rows: Vec<_> = tried
        .iter()
        .enumerate()
        .map(|(at, tried)| vec![(at + 1).to_string(), output::or_dash(tried.line()), tried.to_string()])
        .collect();
    output::table(&["KEY", "LINE", "TRIED"], &rows)?;
    output::line("")
}

/// Prints the summary and the first of the refused rows.
pub(super) fn print(summary: &Summary, errors: &[RowError], tried: &[Tried], warnings: &[String]) -> io::Result<()> {
    if !tried.is_empty() {
        print_tried(tried)?;
    }
    let head = if summary.dry_run { "would be imported" } else { "imported" };
    let some = |count: u64| if count > 0 { count.to_string() } else { String::new() };
    let changed: Vec<_> = summary.changed.iter().map(|(field, count)| format!("{field} ({count})")).collect();
    output::fields(&[
        ("realm", summary.realm.clone()),
        ("scheme", summary.scheme.to_owned()),
        ("rows", summary.rows.to_string()),
        (head, summary.imported.to_string()),
        ("already on record", summary.unchanged.to_string()),
        ("corrected", some(summary.corrected)),
        ("of these in", changed.join(", ")),
        ("of these revoked or suspended", some(summary.ended)),
        ("refused", summary.refused.to_string()),
        ("also in other sets", summary.in_other_sets.to_string()),
    ])?;
    warnings.iter().for_each(output::note);
    if errors.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let reasons: Vec<_> =
        summary.reasons.iter().map(|(reason, count)| vec![count.to_string(), (*reason).to_owned()]).collect();
    output::table(&["ROWS", "REFUSED FOR"], &reasons)?;
    output::line("")?;
    let rows: Vec<_> =
        errors.iter().map(|one| vec![one.line.to_string(), row_error_with_arguments(&one.kind)]).collect();
    output::table(&["LINE", "WHY"], &rows)?;
    if summary.refused > errors.len() as u64 {
        output::line("\nThere are more: --report FILE writes all of them")?;
    }
    Ok(())
}

/// How the keys of a system were hashed.
fn scheme_of(system: &System) -> &'static str {
    if system.plain { "plain" } else { (system.layout)().scheme.name() }
}

/// Prints the systems that `--from` knows.
pub(super) fn systems(json: bool) -> io::Result<()> {
    if json {
        let systems: Vec<Value> = SYSTEMS
            .iter()
            .map(|system| {
                let prefix = Some((system.layout)().prefix).filter(|prefix| !prefix.is_empty());
                let (zone, zone_needed) = match system.times {
                    Times::Zoned => (None, None),
                    Times::Utc => (Some("UTC"), None),
                    Times::Local(what) => (None, Some(what)),
                };
                json!({
                    "name": system.name, "about": system.about, "header": system.header, "scheme": scheme_of(system),
                    "prefix": prefix, "prefix_needed": system.prefix, "secret": system.secret, "zone": zone,
                    "zone_needed": zone_needed, "export": system.export,
                })
            })
            .collect();
        return output::json(&json!({ "systems": systems }));
    }
    let rows: Vec<_> = SYSTEMS
        .iter()
        .map(|system| {
            let prefix = if system.prefix.is_some() { "its own".to_owned() } else { (system.layout)().prefix };
            let prefix = output::or_dash(Some(prefix).filter(|prefix| !prefix.is_empty()));
            let [name, scheme] = [system.name, scheme_of(system)].map(str::to_owned);
            vec![name, scheme, prefix, system.header.to_owned(), system.about.to_owned()]
        })
        .collect();
    output::table(&["NAME", "SCHEME", "PREFIX", "ITS CLIENTS SEND", "WHAT"], &rows)
}
