//! `bulla keyring limit`.

use std::process::ExitCode;

use bulla::keyring::KeyVersion;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{ConfigArgument, Outcome};
use crate::{
    action::keyring::{self, Change, Setting},
    cli::{
        Failure,
        backend::Local,
        confirm::{Confirmation, counted_keys},
        output, parsers,
    },
    clock,
};

#[derive(Args)]
#[command(after_help = "\
Without an option the command shows the limits. If --verify-until ends active API keys, the command tells how many, and asks. \
It asks as well if --seal-until is past and the version is the active one: no API key can be issued then.")]
pub(in crate::cli) struct Limit {
    /// The number of the version
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// Seal nothing with the version from this time on
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    seal_until: Option<Timestamp>,
    /// Reject the API keys of the version from this time on
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    verify_until: Option<Timestamp>,
    /// Remove the limit on sealing
    #[arg(long, conflicts_with = "seal_until")]
    no_seal_until: bool,
    /// Remove the limit on verifying
    #[arg(long, conflicts_with = "verify_until")]
    no_verify_until: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Limit {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let limit = keyring::Limit {
            seal_until: setting(self.seal_until, self.no_seal_until)?,
            verify_until: setting(self.verify_until, self.no_verify_until)?,
        };
        let local = Local::open(config)?;
        self.confirm(&local)?;
        if (limit.seal_until, limit.verify_until) != (Setting::Keep, Setting::Keep) {
            local.change_keyring(&Change::Limit(self.version, limit))?;
        }
        let document = local.deployment.document(&*local.store)?;
        let record = document.version(self.version).ok_or(bulla::keyring::KeyringError::Unknown(self.version))?;
        if self.json {
            output::json(&json!({
                "version": self.version, "state": record.state, "serial": document.serial(),
                "seal_until": record.seal_until.map(clock::timestamp),
                "verify_until": record.verify_until.map(clock::timestamp),
            }))?;
        } else {
            let until = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |at| clock::timestamp(at).to_string());
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

    /// Asks if a limit stops issuing at once, or ends API keys that are active at that time.
    fn confirm(&self, local: &Local) -> Result<(), Failure> {
        if self.confirmation.is_given() {
            return Ok(());
        }
        let consequences = [self.stopped(local)?, self.ended(local)?];
        let told: Vec<String> = consequences.into_iter().flatten().collect();
        match told.is_empty() {
            true => Ok(()),
            false => self.confirmation.ask(&told.join(" "), &format!("limit {}", self.version)),
        }
    }

    /// What a limit on sealing does that is over already.
    fn stopped(&self, local: &Local) -> Result<Option<String>, Failure> {
        let Some(until) = self.seal_until.filter(|until| *until <= clock::now()) else { return Ok(None) };
        let (version, document) = (self.version, local.deployment.document(&*local.store)?);
        let told = format!(
            "Version {version} is the active one, and {until} is past: no API key can be issued until another version is \
             activated. `bulla keyring limit {version} --no-seal-until` undoes it."
        );
        Ok(document.active().filter(|active| active.number == version).map(|_| told))
    }

    /// What a limit on verifying does to API keys that are active.
    fn ended(&self, local: &Local) -> Result<Option<String>, Failure> {
        let Some(until) = self.verify_until else { return Ok(None) };
        let (version, at) = (self.version, until.max(clock::now()));
        let counts = local.store.active_counts(at)?;
        let count = counts.iter().find(|count| count.version == version.number());
        Ok(count.map(|count| {
            format!(
                "This rejects {} of version {version} from {until} on. `bulla keyring limit {version} --no-verify-until` \
                 undoes it.",
                counted_keys(count.all, count.administrators)
            )
        }))
    }
}

fn setting(set: Option<Timestamp>, remove: bool) -> Result<Setting, Failure> {
    match set {
        Some(at) => Setting::to(at).map_err(|error| Failure::Usage(error.to_string())),
        None if remove => Ok(Setting::Remove),
        None => Ok(Setting::Keep),
    }
}
