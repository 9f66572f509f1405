//! `bulla keyring stage | activate | compromise | destroy | rewrap | limit`.

use std::process::ExitCode;

use bulla::{KeyVersion, KeyringError, SourceUri, State, Suite};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ConfigArgument, Outcome};
use crate::{
    action::{
        Actor,
        keyring::{Change, Limit, Rewrap, Setting},
    },
    api::keyring::{Activate, Compromise, Stage},
    cli::{
        Failure,
        client::ServerArgument,
        confirm::{Confirmation, counted},
        output::{self, CARE},
        parsers,
    },
    clock,
    deployment::DeploymentError,
};

#[derive(Args)]
#[command(
    after_help = "Example:\n  bulla keyring stage --source 'pkcs11:token=bulla;object=master-2?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin'"
)]
pub(in crate::cli) struct StageArguments {
    /// A key source that holds the new master key; several hold the same one
    #[arg(long, required = true, value_name = "URI", num_args = 1..)]
    source: Vec<SourceUri>,
    /// The suite that the version pins: aes-256-gcm or xaes-256-gcm
    #[arg(long, default_value_t = Suite::default())]
    suite: Suite,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(in crate::cli) struct ActivateArguments {
    /// The number of a staged version; with --rollback, of a deactivated one
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// Go back to a deactivated version
    #[arg(long)]
    rollback: bool,
    /// Do it though the version was staged less than a refresh interval ago: verifiers that have not seen it yet reject its
    /// API keys until they have
    #[arg(long)]
    force: bool,
    /// What happens anyway unless --force is given
    #[arg(long, hide = true, conflicts_with = "force")]
    require_loaded: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
#[command(after_help = "\
No API key of the version is accepted from then on, also no administrator's, and there is no way back.")]
pub(in crate::cli) struct CompromiseArguments {
    /// The number of the version whose key others have
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// The staged or deactivated version that takes the active one's place in the same step
    #[arg(long, value_parser = parsers::version, value_name = "VERSION")]
    successor: Option<KeyVersion>,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
#[command(after_help = "\
No API key of the version is accepted from then on, what the keyring has of its key is gone, and there is no way back. The
key in its source is yours to delete.")]
pub(in crate::cli) struct DestroyArguments {
    /// The number of a staged, deactivated or compromised version
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(in crate::cli) struct RewrapArguments {
    /// The number of the version
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// A source that holds the same master key, or is to wrap it
    #[arg(long, value_name = "URI", required_unless_present = "remove")]
    add: Vec<SourceUri>,
    /// A source to take off the list
    #[arg(long, value_name = "URI")]
    remove: Vec<SourceUri>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "Without an option it shows the limits that there are.")]
pub(in crate::cli) struct LimitArguments {
    /// The number of the version
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// From when on nothing is sealed with it
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    seal_until: Option<Timestamp>,
    /// From when on nothing sealed with it is accepted
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    verify_until: Option<Timestamp>,
    /// Remove the limit to sealing
    #[arg(long, conflicts_with = "seal_until")]
    no_seal_until: bool,
    /// Remove the limit to accepting
    #[arg(long, conflicts_with = "verify_until")]
    no_verify_until: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct How {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl StageArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let stage = Stage { sources: self.source, suite: self.suite };
        let body = json!(stage);
        self.how.run(config, "/v1/keyring/versions".to_owned(), body, Change::Stage(stage))
    }
}

impl ActivateArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let activate = Activate { rollback: self.rollback, require_loaded: self.require_loaded, force: self.force };
        let path = format!("/v1/keyring/versions/{}/activate", self.version);
        self.how.run(config, path, json!(activate), Change::Activate(self.version, activate))
    }
}

impl CompromiseArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let stops = if self.successor.is_none() {
            Some("if it is the active one, nothing can be issued until another is")
        } else {
            None
        };
        self.how.confirm(config, self.version, "compromise", stops, &self.confirmation)?;
        let compromise = Compromise { successor: self.successor };
        let path = format!("/v1/keyring/versions/{}/compromise", self.version);
        self.how.run(config, path, json!(compromise), Change::Compromise(self.version, compromise))
    }
}

impl DestroyArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        self.how.confirm(config, self.version, "destroy", None, &self.confirmation)?;
        let path = format!("/v1/keyring/versions/{}/destroy", self.version);
        self.how.run(config, path, json!({}), Change::Destroy(self.version))
    }
}

impl RewrapArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let rewrap = Rewrap { add: self.add, remove: self.remove };
        here(config, self.json, Change::Rewrap(self.version, rewrap))
    }
}

impl LimitArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let setting = |set: Option<Timestamp>, remove: bool| match set {
            Some(at) => Setting::Set(at),
            None if remove => Setting::Remove,
            None => Setting::Keep,
        };
        let limit = Limit {
            seal_until: setting(self.seal_until, self.no_seal_until),
            verify_until: setting(self.verify_until, self.no_verify_until),
        };
        let deployment = config.open()?;
        let store = deployment.store()?;
        if (limit.seal_until, limit.verify_until) != (Setting::Keep, Setting::Keep) {
            let change = Change::Limit(self.version, limit);
            change.apply(&deployment, &*store, &Actor::command_line(), clock::now())?;
        }
        let document = deployment.document(&*store)?;
        let record = document.version(self.version).ok_or(bulla::KeyringError::Unknown(self.version))?;
        if self.json {
            output::json(&json!({
                "version": self.version, "state": record.state, "serial": document.serial(),
                "seal_until": record.seal_until, "verify_until": record.verify_until,
            }))?;
        } else {
            let until = |limit: Option<Timestamp>| limit.map_or("no limit".to_owned(), |at| at.to_string());
            output::fields(&[
                ("version", self.version.to_string()),
                ("state", record.state.to_string()),
                ("serial", document.serial().to_string()),
                ("seal until", until(record.seal_until)),
                ("verify until", until(record.verify_until)),
            ])?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl How {
    /// Tells which keys a change ends for good, and asks.
    fn confirm(
        &self,
        config: &ConfigArgument,
        version: KeyVersion,
        what: &str,
        also: Option<&str>,
        confirmation: &Confirmation,
    ) -> Result<(), Failure> {
        // A compromise that is to be done anyway waits for no count.
        if confirmation.is_given() {
            return Ok(());
        }
        let (count, administrators) = match self.server.admin()? {
            Some(server) => {
                let keyring = server.get("/v1/keyring?count=active")?;
                let versions = keyring.get("versions").and_then(Value::as_array).into_iter().flatten();
                let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
                let mut of = versions.filter(|one| number(one, "version") == Some(version.number().into()));
                let counts = of.next().and_then(|one| one.get("active_api_keys"));
                let count = |name: &str| counts.and_then(|counts| number(counts, name)).unwrap_or(0);
                (count("all"), count("administrators"))
            }
            None => {
                let counts = config.open()?.store()?.active_counts(clock::now())?;
                let count = counts.into_iter().find(|count| count.version == version.number());
                count.map_or((0, 0), |count| (count.all, count.administrators))
            }
        };
        let among = match administrators {
            0 => String::new(),
            _ => format!(", {} among them", counted(administrators, "administrator's key")),
        };
        let verb = if count == 1 { "dies" } else { "die" };
        let also = also.map(|also| format!("; {also}")).unwrap_or_default();
        let ends = format!("{} {verb}{among}{also}.", counted(count, "active API key"));
        confirmation.ask(&ends, &format!("{what} {version}"))
    }

    fn run(self, config: &ConfigArgument, path: String, body: Value, change: Change) -> Outcome {
        match self.server.admin()? {
            Some(server) => report(&server.post(&path, &body)?, self.json),
            None => here(config, self.json, change),
        }
    }
}

fn here(config: &ConfigArgument, json: bool, change: Change) -> Outcome {
    let deployment = config.open()?;
    let changed = change.apply(&deployment, &*deployment.store()?, &Actor::command_line(), clock::now());
    let changed = changed.map_err(|error| match error {
        // The library knows no options.
        DeploymentError::Keyring(
            ref illegal @ KeyringError::IllegalMove { version, state: State::Deactivated, asked: "activated", .. },
        ) => Failure::Usage(format!("{illegal}: `bulla keyring activate {version} --rollback`")),
        DeploymentError::NotEverywhere { .. } | DeploymentError::StagedAhead { .. } => {
            Failure::Usage(format!("{error} (--force)"))
        }
        other => other.into(),
    })?;
    report(&serde_json::to_value(changed).map_err(|error| Failure::Io(error.into()))?, json)
}

fn report(changed: &Value, json: bool) -> Outcome {
    if json {
        output::json(changed)?;
    } else {
        let text =
            |name: &str| changed.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        output::fields(&[
            ("version", text("version").unwrap_or_default()),
            ("state", text("state").unwrap_or_default()),
            ("serial", text("serial").unwrap_or_default()),
        ])?;
        if let Some(warning) = text("warning") {
            output::line(format_args!("{CARE}warning:{CARE:#} {warning}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
