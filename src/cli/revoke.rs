//! `bulla revoke`.

use bulla::Realm;
use clap::Args;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    ConfigArgument, Failure, Outcome,
    backend::{Backend, Rule},
    common_args::CommonArgs,
    confirm::{Confirmation, counted_keys},
    id_argument, output, parsers, propagation,
};

/// Permanently revoke an API key, or all keys of an app or realm issued before a time
#[derive(Args)]
#[command(after_help = "\
Examples:
  bulla revoke live_00000XzbyFf5rOyRXQyt8V --reason leaked
  bulla revoke live_00000XzbyFf5rOyRXQyt8V --wait       until it is rejected everywhere
  bulla revoke - < leaked-key.txt
  bulla revoke --app 3f2b8c1e-9a7d-4d52-8a55-0123456789ab
  bulla revoke --realm live --issued-before 2026-11-01T00:00:00Z

With --app or --realm the command tells how many keys it ends, and asks. `bulla keys suspend` revokes a key for a while.")]
pub(super) struct Revoke {
    /// The API-key id, the whole API key, or `-` to read either from standard input; `ps` shows what is on a command
    /// line
    #[arg(value_name = "ID|KEY|-", required_unless_present_any = ["app", "realm"], conflicts_with_all = ["app", "realm"])]
    key: Option<String>,
    /// All keys of this app, a UUID, in every realm
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: Option<Uuid>,
    /// All keys of this realm; with --app, only the app's keys of this realm
    #[arg(long)]
    realm: Option<Realm>,
    /// Only keys issued before this time, an RFC 3339 time up to five minutes ahead; the default with --app is now
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    issued_before: Option<Timestamp>,
    /// The reason, for ledger and audit: one line of up to 200 characters
    #[arg(long)]
    reason: Option<String>,
    /// Revoke also in a realm that the configuration does not have
    #[arg(long, requires = "realm")]
    force: bool,
    #[command(flatten)]
    wait: propagation::Wait,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    common: CommonArgs,
}

impl Revoke {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match &self.key {
            Some(key) => self.revoke_one(key, config),
            None => self.revoke_many(self.rule()?, config),
        }
    }

    fn revoke_one(&self, key: &str, config: &ConfigArgument) -> Outcome {
        if self.issued_before.is_some() {
            return Err(Failure::Usage("--issued-before goes with --app or --realm".to_owned()));
        }
        let (text, backend) = (id_argument::read(key)?, self.common.open(config)?);
        let found = backend.ids_to_end(text.expose_secret())?;
        let revoked = backend.revoke(&found.ids, self.reason.clone(), self.wait.limit)?;
        self.common.print(&revoked, |revoked| {
            output::object_without(revoked, "propagation")?;
            warn_of_typing_error(!revoked.on_record);
            revoked.propagation.as_ref().map_or(Ok(()), propagation::print)
        })?;
        found.check_complete("revoked")?;
        Ok(propagation::exit_code(revoked.propagation.as_ref()))
    }

    fn revoke_many(&self, rule: Rule, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        self.confirm(&*backend, rule)?;
        let rule = backend.revoke_many(rule, self.force, self.reason.clone(), self.wait.limit)?;
        self.common.print(&rule, |rule| {
            output::object_without(rule, "propagation")?;
            warn_of_typing_error(rule.keys_on_record == Some(0));
            rule.propagation.as_ref().map_or(Ok(()), propagation::print)
        })?;
        Ok(propagation::exit_code(rule.propagation.as_ref()))
    }

    fn confirm(&self, backend: &dyn Backend, rule: Rule) -> Result<(), Failure> {
        // With --yes the keys are revoked without waiting for the count.
        if self.confirmation.is_given() {
            return Ok(());
        }
        let active = backend.count_active(rule, self.force)?;
        let keys = counted_keys(active.all, active.administrators);
        let (whose, word) = match rule {
            Rule::App { app_id, realm: None, .. } => {
                (format!("of the app {app_id} in every realm"), "revoke".to_owned())
            }
            Rule::App { app_id, realm: Some(realm), .. } => {
                (format!("of the app {app_id} in the realm `{realm}`"), format!("revoke {realm}"))
            }
            Rule::Realm { realm, .. } => (format!("of the realm `{realm}`"), format!("revoke {realm}")),
        };
        let until = match self.issued_before {
            Some(before) => format!("issued before {before}"),
            None => "issued until now".to_owned(),
        };
        let told = format!("This permanently revokes {keys} {whose}, {until}. It cannot be undone.");
        self.confirmation.ask(&told, &word)
    }

    fn rule(&self) -> Result<Rule, Failure> {
        match (self.app, self.realm, self.issued_before) {
            (Some(app_id), realm, before) => Ok(Rule::App { app_id, realm, before }),
            (None, Some(realm), Some(before)) => Ok(Rule::Realm { realm, before }),
            _ => Err(Failure::Usage("--realm without --app needs --issued-before: name the time".to_owned())),
        }
    }
}

/// Notes that the ledger has nothing of what was named.
pub(super) fn warn_of_typing_error(nothing_on_record: bool) {
    if nothing_on_record {
        output::note(&"the ledger has no such key: if you expected one, look for a typing error");
    }
}
