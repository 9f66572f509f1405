//! `bulla keys import`.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead, BufReader, Seek},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::ExitCode,
};

use bulla::Realm;
use clap::Args;
use zeroize::Zeroizing;

use super::{
    import_arguments::{LayoutArguments, RowArguments, header_error},
    import_report::{self, Report},
};
use crate::{
    action::{
        Actor,
        import::{Import as Action, Progress, Summary},
    },
    cli::{ConfigArgument, Failure, Outcome, output, standard_input},
    clock,
    config::Config,
    deployment::Deployment,
    imported::{Format, KeyLayout, Reader, Reading, RowError, Set, System, Trial, Tried},
};

/// The exit code if rows were refused.
const REFUSED: u8 = 1;

#[derive(Args)]
#[command(after_help = "\
Examples:
  bulla keys import keys.jsonl --realm live --scheme sha256 --try my.key --dry-run
  bulla keys import keys.csv --realm live --scheme bcrypt --prefix sk_live_ --separator _
  bulla keys import knox.csv --realm live --from django-rest-knox --app-from user_id
  bulla keys import - --realm live --scheme sha256-id-key-salt --salt-encoding hex < keys.jsonl
  bulla keys import --from list

A row has app_id and hash, public and salt if the scheme needs them, and optionally name, issued_at, expires_at, revoked,
disabled, enabled, scopes and meta. docs/IMPORT.md defines each scheme. Exit 0: all rows are on record as the file has
them; 1: some were refused, differ from the record, or a tried key did not verify.")]
pub(in crate::cli) struct Import {
    /// The rows, or `-` for standard input
    #[arg(value_name = "FILE | -", required_unless_present = "from")]
    file: Option<PathBuf>,
    /// The realm that the keys belong to from now on
    #[arg(long, required_unless_present = "from")]
    realm: Option<Realm>,
    /// The system that the rows come from, by the name of its package or project; `list` shows all
    #[arg(long, value_name = "NAME | list")]
    from: Option<String>,
    /// A file of real keys, one on each line, that are tried on the rows before any is imported
    #[arg(long = "try", value_name = "FILE")]
    try_keys: Option<PathBuf>,
    /// Check everything and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Correct keys on record where rows differ from them
    #[arg(long)]
    replace: bool,
    /// Write the line and reason of each refused row into this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    layout: LayoutArguments,
    #[command(flatten)]
    rows: RowArguments,
}

impl Import {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        if self.from.as_deref() == Some("list") {
            import_report::systems(self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let system = self.from.as_deref().map(|name| System::named(name).ok_or_else(unknown_system)).transpose()?;
        let realm = self.realm.ok_or_else(|| usage("name the realm that the keys go into: --realm"))?;
        let layout = self.layout.layout(system).map_err(usage)?;
        let (cost, columns) = (self.layout.cost(system), self.rows.columns(system).map_err(usage)?);
        let salted = !layout.has_one_salt() && (layout.scheme.has_salt() || cost.is_some());
        let salts = self.rows.salts(salted, system).map_err(usage)?;
        let deployment = config.open()?;
        check_realm(realm, &deployment.config)?;
        if let Some(system) = system {
            check_encoding(system, &layout, &deployment.config)?;
        }
        let secret = layout.open_secret(&deployment.config).map_err(undone)?;
        let (set, plain) = (Set::new(0, realm, layout.clone(), [0; 16], secret), self.layout.is_plain(system));
        let reading = Reading {
            columns,
            salts,
            cost,
            plain,
            apps: self.rows.apps(),
            scopes: self.rows.scopes(),
            zone: self.rows.zone(system),
            ..Reading::new(&set, clock::now())
        };
        let mut file = self.open()?;
        self.check_report()?;
        let tried = self.tried(&mut file, &reading)?;
        if !self.dry_run && tried.iter().any(|tried| !tried.is_verified()) {
            return self.refuse(&mut file, reading, &tried);
        }
        let mut reader = Reader::new(file.input()?, self.format(), reading).map_err(header_error)?;
        let (summary, errors) = self.import(&deployment, realm, &layout, &mut reader, file.length)?;
        let warnings = self.warnings(&summary, &layout, &deployment.config, &reader, plain);
        match self.json {
            true => import_report::json(&summary, &errors, &tried, &warnings)?,
            false => import_report::print(&summary, &errors, &tried, &warnings)?,
        }
        let all = summary.refused == 0 && tried.iter().all(Tried::is_verified);
        Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }

    fn import(
        &self,
        deployment: &Deployment,
        realm: Realm,
        layout: &KeyLayout,
        reader: &mut Reader<'_>,
        length: Option<u64>,
    ) -> Result<(Summary, Vec<RowError>), Failure> {
        let mut progress = self.progress(length)?;
        let (store, fleet, actor) = (deployment.store()?, &deployment.config.fleet, Actor::command_line());
        let (now, dry_run, replace) = (clock::now(), self.dry_run, self.replace);
        let import = Action { store: &*store, fleet, actor: &actor, now, realm, layout, dry_run, replace };
        let summary = import.run(reader, &mut progress).map_err(|error| undone(error.to_string()));
        let errors = progress.finish()?;
        Ok((summary?, errors))
    }

    /// Tries real keys on the rows.
    fn tried(&self, file: &mut Rows, reading: &Reading<'_>) -> Result<Vec<Tried>, Failure> {
        let Some(path) = &self.try_keys else { return Ok(Vec::new()) };
        let keys = std::fs::read_to_string(path).map(Zeroizing::new);
        let keys = keys.map_err(|error| undone(format!("cannot read the keys in {}: {error}", path.display())))?;
        let mut trial = Trial::new(reading.set, &keys);
        if trial.tried().is_empty() {
            return Err(undone(format!("{} holds no keys: write one on each line", path.display())));
        }
        let mut reader = Reader::new(file.input()?, self.format(), reading.clone()).map_err(header_error)?;
        while let Some(row) = reader.next()? {
            if let Ok(record) = row {
                trial.see(&record);
            }
        }
        Ok(trial.tried().to_vec())
    }

    /// Says that nothing is imported, because a tried key did not verify, and which rows cannot be read: the key may be
    /// of one of them.
    fn refuse(&self, file: &mut Rows, reading: Reading<'_>, tried: &[Tried]) -> Outcome {
        let Set { realm, layout, .. } = reading.set;
        let mut summary = Summary { realm: realm.to_string(), scheme: layout.scheme.name(), ..Summary::default() };
        let mut progress = self.progress(file.length)?;
        let mut reader = Reader::new(file.input()?, self.format(), reading)?;
        while let Some(row) = reader.next()? {
            summary.rows += 1;
            if let Err(error) = row {
                summary.refused += 1;
                *summary.reasons.entry(error.kind.code()).or_default() += 1;
                progress.refused(&error)?;
            }
        }
        let errors = progress.finish()?;
        match self.json {
            true => import_report::json(&summary, &errors, tried, &[])?,
            false => import_report::print(&summary, &errors, tried, &[])?,
        }
        let why = match summary.refused {
            0 => "see how the old system hashes keys",
            _ => "see why rows are refused, and how the old system hashes keys",
        };
        output::error(&format_args!("nothing was imported: not every tried key verifies; {why}"));
        Ok(ExitCode::from(REFUSED))
    }

    /// The progress of one reading, with the report if one was asked for.
    fn progress(&self, length: Option<u64>) -> io::Result<Report> {
        Ok(Report::new(length, self.report.as_deref().map(File::create).transpose()?))
    }

    fn warnings(
        &self,
        summary: &Summary,
        layout: &KeyLayout,
        config: &Config,
        reader: &Reader<'_>,
        plain: bool,
    ) -> Vec<String> {
        let like_keys = reader.like_keys();
        let mut warnings = Vec::new();
        if summary.in_other_sets > 0 {
            warnings.push(format!(
                "{} of these keys share their digest or public part with a key that was imported to this realm under another \
                 layout. A key that is in both sets is rejected as soon as it is revoked in one of them; `bulla revoke -` with \
                 the key revokes it in all",
                summary.in_other_sets
            ));
        }
        if !summary.uncompared_sets.is_empty() && summary.imported > 0 {
            let sets: Vec<String> = summary.uncompared_sets.iter().map(i64::to_string).collect();
            warnings.push(format!(
                "these keys cannot be compared with those of set {}, because slow digests find the keys there or here. A key that is \
                 in both sets is rejected as soon as it is revoked in one of them, which costs a slow hash when it is presented",
                sets.join(", ")
            ));
        }
        if summary.in_other_realms > 0 {
            warnings.push(format!(
                "{} of these keys are on record in another realm, too, and are another key there: with an app, scopes and a \
                 revocation of its own. Where no realm is asked for, a key is good that is good in one of them; `bulla revoke -` \
                 with the key revokes it in all",
                summary.in_other_realms
            ));
        }
        if self.replace && layout.shared && summary.imported > 0 {
            warnings.push(format!(
                "{} rows are new keys and correct no older one: where keys share public parts, the hash says which key a row is of, so \
                 a row with a wrong hash stays beside the right one. If nobody used the keys of this set yet, remove it \
                 (`bulla keys imports remove`) and import again; otherwise revoke those that are wrong",
                summary.imported
            ));
        }
        if summary.rows > 0 && !reader.unseen().is_empty() {
            warnings.push(format!(
                "no row has the column that --column names for {}: see that its name is right",
                reader.unseen().join(", ")
            ));
        }
        if self.try_keys.is_none() && like_keys > 0 && self.from.is_none() {
            warnings.push(format!(
                "{like_keys} hashes are written in base64url without padding, as keys often are: if they are keys in plaintext, \
                 none will ever be accepted, and they are in the store now; try a real key with --try"
            ));
        }
        let needed = reader.memory_kib().div_ceil(1024);
        if needed > config.secret.memory_mib {
            warnings.push(format!(
                "checking one of these hashes takes {needed} MiB, and secret.memory_mib is {}: such keys cannot be verified until \
                 it is raised",
                config.secret.memory_mib
            ));
        }
        if self.try_keys.is_none() && layout.assumes_base64(config) {
            warnings.push(
                "the file of the secret was read as base64, as its URI names no encoding: if it holds the secret itself, add \
                 ?encoding=text, or ?encoding=hex; try a real key with --try"
                    .to_owned(),
            );
        }
        if self.try_keys.is_none() && !plain && summary.imported > 0 {
            warnings.push(
                "no key was tried: hashes do not say how they were made, and keys in plaintext may look like hashes; give a few \
                 real keys with --try"
                    .to_owned(),
            );
        }
        warnings
    }

    fn open(&self) -> Result<Rows, Failure> {
        let path = self.file.as_deref().ok_or_else(|| usage("name the file of the rows, or `-` for standard input"))?;
        if path.as_os_str() == "-" {
            standard_input::tell_awaited("the rows to import");
            return match self.try_keys {
                None => Ok(Rows { file: None, length: None }),
                Some(_) => Rows::copied(&mut io::stdin().lock()),
            };
        }
        let named = |error: io::Error| undone(format!("cannot read {}: {error}", path.display()));
        let mut file = File::open(path).map_err(named)?;
        let about = file.metadata().map_err(named)?;
        match (about.is_file(), &self.try_keys) {
            (true, _) => Ok(Rows { file: Some(file), length: Some(about.len()) }),
            (false, None) => Ok(Rows { file: Some(file), length: None }),
            // A pipe, such as <(…) of a shell.
            (false, Some(_)) => Rows::copied(&mut file),
        }
    }

    /// Refuses a report that would overwrite what is read.
    fn check_report(&self) -> Result<(), Failure> {
        let Some(report) = &self.report else { return Ok(()) };
        let Some(there) = report.metadata().ok().filter(Metadata::is_file) else { return Ok(()) };
        let is_read =
            |read: io::Result<Metadata>| read.is_ok_and(|read| (read.dev(), read.ino()) == (there.dev(), there.ino()));
        let rows = self.file.as_deref().is_some_and(|file| match file.as_os_str() == "-" {
            true => is_read(io::stdin().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata())),
            false => is_read(file.metadata()),
        });
        if rows || self.try_keys.as_deref().is_some_and(|keys| is_read(keys.metadata())) {
            let path = report.display();
            return Err(usage(format!(
                "{path} is what is imported, and the report would overwrite it: name another file"
            )));
        }
        Ok(())
    }

    fn format(&self) -> Format {
        let ending = self.file.as_deref().and_then(|file| file.extension());
        let csv = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        self.rows.format.map_or(if csv { Format::Csv } else { Format::Jsonl }, Format::from)
    }
}

/// The rows: a file, which can be read again, or standard input.
struct Rows {
    file: Option<File>,
    length: Option<u64>,
}

impl Rows {
    /// Rows that are read twice, and can be read once.
    fn copied(from: &mut dyn io::Read) -> Result<Self, Failure> {
        let mut file = tempfile::tempfile()?;
        let length = io::copy(from, &mut file)?;
        Ok(Rows { file: Some(file), length: Some(length) })
    }

    /// The rows from the beginning.
    fn input(&mut self) -> Result<Box<dyn BufRead + Send>, Failure> {
        let Some(file) = &mut self.file else { return Ok(Box::new(BufReader::new(io::stdin()))) };
        // A pipe cannot go back, and was not read yet.
        let _is_at_its_beginning = file.rewind();
        Ok(Box::new(BufReader::with_capacity(1 << 16, file.try_clone()?)))
    }
}

/// Checks what would otherwise fail only when the first of the keys is presented.
fn check_realm(realm: Realm, config: &Config) -> Result<(), Failure> {
    let Some(policy) = config.realms.get(realm.as_str()) else {
        return Err(undone(format!(
            "there is no [realms.{realm}] in the configuration: add it, or name another realm"
        )));
    };
    match policy.accepts_imported() {
        true => Ok(()),
        false => {
            Err(undone(format!("[realms.{realm}] does not accept imported keys: set accept_imported = true there")))
        }
    }
}

/// The secrets of systems are texts, of which many read as base64, too.
fn check_encoding(system: &System, layout: &KeyLayout, config: &Config) -> Result<(), Failure> {
    match (layout.assumes_base64(config), system.secret) {
        (true, Some(what)) => Err(undone(format!(
            "the secret of {} is {what}, and its URI in `secrets` of [imported] does not say how the file holds it: write \
             \"file:PATH?encoding=text\", or ?encoding=base64 if the file has the text in base64",
            system.name
        ))),
        _ => Ok(()),
    }
}

fn unknown_system() -> Failure {
    usage(
        "this system is not known: `bulla keys import --from list` shows those that are; any other comes in with --scheme",
    )
}

fn usage(what: impl ToString) -> Failure {
    Failure::Usage(what.to_string())
}

fn undone(what: impl ToString) -> Failure {
    Failure::Undone(what.to_string())
}
