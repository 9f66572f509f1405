//! `bulla keyring stage | activate | compromise | destroy | rewrap | limit`.

use std::process::ExitCode;

use bulla::{KeyVersion, SourceUri, Suite};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ConfigArgument, Outcome};
use crate::{
    action::{
        Actor,
        keyring::{Activate, Change, Compromise, Limit, Rewrap, Stage},
    },
    cli::{
        Failure,
        client::ServerArgument,
        output::{self, CARE},
        parsers,
    },
    clock,
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
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// Go back to a deactivated version
    #[arg(long)]
    rollback: bool,
    /// Refuse unless the version has been staged for longer than the refresh interval
    #[arg(long)]
    require_loaded: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(in crate::cli) struct CompromiseArguments {
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// The staged or deactivated version that takes the active one's place in the same step
    #[arg(long, value_parser = parsers::version, value_name = "VERSION")]
    successor: Option<KeyVersion>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(in crate::cli) struct DestroyArguments {
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(in crate::cli) struct RewrapArguments {
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
pub(in crate::cli) struct LimitArguments {
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// From when on nothing is sealed with it; without, there is no such time
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    seal_until: Option<Timestamp>,
    /// From when on nothing sealed with it is accepted; without, there is no such time
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    verify_until: Option<Timestamp>,
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
        let activate = Activate { rollback: self.rollback, require_loaded: self.require_loaded };
        let path = format!("/v1/keyring/versions/{}/activate", self.version);
        self.how.run(config, path, json!(activate), Change::Activate(self.version, activate))
    }
}

impl CompromiseArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let compromise = Compromise { successor: self.successor };
        let path = format!("/v1/keyring/versions/{}/compromise", self.version);
        self.how.run(config, path, json!(compromise), Change::Compromise(self.version, compromise))
    }
}

impl DestroyArguments {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
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
        let limit = Limit { seal_until: self.seal_until, verify_until: self.verify_until };
        here(config, self.json, Change::Limit(self.version, limit))
    }
}

impl How {
    fn run(self, config: &ConfigArgument, path: String, body: Value, change: Change) -> Outcome {
        match self.server.admin()? {
            Some(server) => report(&server.post(&path, &body)?, self.json),
            None => here(config, self.json, change),
        }
    }
}

fn here(config: &ConfigArgument, json: bool, change: Change) -> Outcome {
    let deployment = config.open()?;
    let changed = change.apply(&deployment, &*deployment.store()?, &Actor::command_line(), clock::now())?;
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
