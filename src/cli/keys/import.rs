//! `bulla keys import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use bulla::Realm;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::import_arguments::{FormatArgument, SaltArgument, SchemeArgument, with_arguments};
use crate::{
    action::{
        Actor,
        import::{Import as Action, Progress, Summary},
    },
    cli::{ConfigArgument, Failure, Outcome, output},
    clock,
    config::Config,
    deployment::Deployment,
    imported::{Format, Hashed, HmacKey, KeyLayout, PublicPart, Reader, RowError, SaltEncoding, Scheme},
};

/// Refused rows that the command shows; `--report` writes all of them.
const MAX_SHOWN: usize = 20;
/// The exit code if rows were refused.
const REFUSED: u8 = 1;

#[derive(Args)]
#[command(after_help = "\
Examples:
  bulla keys import keys.jsonl --realm live --scheme sha256 --dry-run
  bulla keys import keys.csv --realm live --scheme bcrypt --prefix sk_live_ --separator _
  bulla keys import - --realm live --scheme sha256-id-key-salt --salt-encoding hex < keys.jsonl

A row has app_id and hash, public and salt if the scheme needs them, and optionally name, issued_at, expires_at, scopes and
meta. docs/IMPORT.md defines each scheme. Exit 0: all rows are on record; 1: some were refused.")]
pub(in crate::cli) struct Import {
    /// The rows, or `-` for standard input
    #[arg(value_name = "FILE | -")]
    file: PathBuf,
    /// The realm that the keys belong to from now on
    #[arg(long)]
    realm: Realm,
    /// How the keys were hashed
    #[arg(long, value_enum)]
    scheme: SchemeArgument,
    /// The format of the rows; the default depends on the name of the file
    #[arg(long, value_enum)]
    format: Option<FormatArgument>,
    /// The text that every key begins with, and that `public` lacks
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// `public` is this number of characters of the key, after the prefix
    #[arg(long, value_name = "CHARACTERS", conflicts_with = "separator")]
    public_part: Option<usize>,
    /// `public` is the part of the key between the prefix and the last of these separators
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,
    /// The part of a key that was hashed
    #[arg(long, value_enum, default_value = "whole")]
    hashed: HashedArgument,
    /// The encoding of `salt`; required if rows have one
    #[arg(long, value_enum)]
    salt_encoding: Option<SaltArgument>,
    /// For hmac-sha256: the name of the secret in [imported.hmac_keys]
    #[arg(long, value_name = "NAME")]
    hmac_key: Option<String>,
    /// Check everything and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the line and reason of each refused row into this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum HashedArgument {
    /// The whole key, with the prefix
    Whole,
    /// The part after the public part and the separator
    Secret,
}

impl Import {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let deployment = config.open()?;
        let layout = self.layout()?;
        self.check(&deployment, &layout)?;
        let salts = match (self.salt_encoding, layout.scheme.has_salt()) {
            (None, true) => return Err(usage("name the encoding of the salts: --salt-encoding text, hex or base64")),
            (encoding, _) => encoding.map_or(SaltEncoding::Text, SaltEncoding::from),
        };
        let (input, length) = self.open()?;
        let now = clock::now();
        let mut reader = Reader::new(input, self.format(), &layout, salts, now)?;
        let mut progress = Report::new(length, self.report.as_deref().map(File::create).transpose()?);
        let (store, actor) = (deployment.store()?, Actor::command_line());
        let import =
            Action { store: &*store, actor: &actor, now, realm: self.realm, layout: &layout, dry_run: self.dry_run };
        let summary = import.run(&mut reader, &mut progress).map_err(|error| undone(error.to_string()));
        let errors = progress.finish()?;
        let summary = summary?;
        if self.json {
            let mut value = serde_json::to_value(&summary).map_err(io::Error::from)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("refusals".to_owned(), errors.iter().map(row).collect());
            }
            output::json(&value)?;
        } else {
            print(&summary, &errors)?;
        }
        Ok(if summary.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }

    fn layout(&self) -> Result<KeyLayout, Failure> {
        let scheme = Scheme::from(self.scheme);
        let binary = scheme == Scheme::Sha256IdKeySalt;
        let public = match (self.public_part, &self.separator) {
            (Some(count), _) => PublicPart::First(count),
            (None, Some(separator)) => PublicPart::Before(separator.clone()),
            (None, None) if binary => PublicPart::Id,
            (None, None) => PublicPart::None,
        };
        let hashed = match self.hashed {
            _ if binary => Hashed::Bytes,
            HashedArgument::Whole => Hashed::Whole,
            HashedArgument::Secret => Hashed::Secret,
        };
        let (prefix, hmac_key) = (self.prefix.clone(), self.hmac_key.clone());
        let layout = KeyLayout { scheme, prefix, public, hashed, hmac_key };
        layout.check().map_err(|error| usage(with_arguments(error)))?;
        Ok(layout)
    }

    /// Checks what would otherwise fail only when the first of the keys is presented.
    fn check(&self, deployment: &Deployment, layout: &KeyLayout) -> Result<(), Failure> {
        let config: &Config = &deployment.config;
        if !config.realms.contains_key(self.realm.as_str()) {
            let realm = self.realm;
            return Err(undone(format!(
                "there is no [realms.{realm}] in the configuration: add it, or name another realm"
            )));
        }
        if !config.realms[self.realm.as_str()].accepts_imported() {
            return Err(undone(format!(
                "[realms.{}] does not accept imported keys: set accept_imported = true there",
                self.realm
            )));
        }
        HmacKey::of(layout, config).map(drop).map_err(undone)
    }

    fn open(&self) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
        if self.file.as_os_str() == "-" {
            return Ok((Box::new(BufReader::new(io::stdin())), None));
        }
        let named = |error: io::Error| undone(format!("cannot read {}: {error}", self.file.display()));
        let file = File::open(&self.file).map_err(named)?;
        let length = file.metadata().map_err(named)?.len();
        Ok((Box::new(BufReader::with_capacity(1 << 16, file)), Some(length)))
    }

    fn format(&self) -> Format {
        let csv = self.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        self.format.map_or(if csv { Format::Csv } else { Format::Jsonl }, Format::from)
    }
}

fn usage(what: impl ToString) -> Failure {
    Failure::Usage(what.to_string())
}

fn undone(what: impl ToString) -> Failure {
    Failure::Undone(what.to_string())
}

/// Progress while an import runs, and the refused rows for its end.
struct Report {
    /// Shows nothing if standard error is not a terminal.
    bar: ProgressBar,
    file: Option<BufWriter<File>>,
    first: Vec<RowError>,
}

impl Report {
    fn new(length: Option<u64>, file: Option<File>) -> Self {
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), "{wide_bar} {percent:>3} %  {msg}  {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Report { bar, file: file.map(BufWriter::new), first: Vec::new() }
    }

    fn finish(mut self) -> io::Result<Vec<RowError>> {
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
    json!({"line": error.line, "reason": error.kind.code(), "detail": error.kind.to_string()})
}

fn print(summary: &Summary, errors: &[RowError]) -> io::Result<()> {
    let head = if summary.dry_run { "would be imported" } else { "imported" };
    output::fields(&[
        ("realm", summary.realm.clone()),
        ("scheme", summary.scheme.to_owned()),
        ("rows", summary.rows.to_string()),
        (head, summary.imported.to_string()),
        ("already on record", summary.unchanged.to_string()),
        ("refused", summary.refused.to_string()),
        ("also in other sets", summary.in_other_sets.to_string()),
    ])?;
    if summary.in_other_sets > 0 {
        output::note(&format!(
            "{} of these keys share their digest or public part with a key that was imported to this realm under another layout. \
             A key that is in both sets is rejected as soon as it is revoked in one of them; `bulla revoke -` with the key \
             revokes it in all",
            summary.in_other_sets
        ));
    }
    if errors.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let reasons: Vec<_> =
        summary.reasons.iter().map(|(reason, count)| vec![count.to_string(), (*reason).to_owned()]).collect();
    output::table(&["ROWS", "REFUSED FOR"], &reasons)?;
    output::line("")?;
    let rows: Vec<_> = errors.iter().map(|one| vec![one.line.to_string(), one.kind.to_string()]).collect();
    output::table(&["LINE", "WHY"], &rows)?;
    if summary.refused > errors.len() as u64 {
        output::line("\nThere are more: --report FILE writes all of them")?;
    }
    Ok(())
}
