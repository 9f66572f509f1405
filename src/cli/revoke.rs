//! `bulla revoke`.

use std::process::ExitCode;

use bulla::{ApiKeyId, Realm};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ConfigArgument, Failure, Outcome, api_key_argument,
    client::{Client, ServerArgument},
    id_argument, output, parsers,
};
use crate::{
    action::{
        Actor,
        take_back::{self, TakeBack},
    },
    clock,
};

/// Take back one API key, or everything that an app or a realm was issued before some time. For good.
#[derive(Args)]
#[command(after_help = "\
Examples:
  bulla revoke live_00000XzbyFf5rOyRXQyt8V --reason leaked
  bulla revoke - < leaked-key.txt
  bulla revoke --app 3f2b8c1e-9a7d-4d52-8a55-0123456789ab
  bulla revoke --realm live --issued-before 2026-11-01T00:00:00Z")]
pub(super) struct Revoke {
    /// The API-key id, or the whole API key, or `-` to read either from standard input: what stands on a command line
    /// shows in `ps`
    #[arg(value_name = "ID|KEY|-", required_unless_present_any = ["app", "realm"], conflicts_with_all = ["app", "realm"])]
    key: Option<String>,
    /// Everything this app, a UUID, was issued, in every realm
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: Option<Uuid>,
    /// Everything this realm issued; with --app, only what the app was issued there
    #[arg(long)]
    realm: Option<Realm>,
    /// Only what was issued before this time, an RFC 3339 time up to five minutes ahead; with --app, all until now if not
    /// said
    #[arg(long, value_name = "TIME", value_parser = parsers::time)]
    issued_before: Option<Timestamp>,
    /// Why, for ledger and audit: up to 200 characters in one line
    #[arg(long)]
    reason: Option<String>,
    /// Do it for a realm that the configuration does not have
    #[arg(long, requires = "realm")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

/// What is to be taken back.
enum Target {
    /// Under all of its ids: one, unless it was imported under several rules.
    Key(Vec<ApiKeyId>),
    App(Uuid, Option<Realm>, Option<Timestamp>),
    Realm(Realm, Timestamp),
}

impl Revoke {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let target = self.target(config)?;
        let taken = match self.server.admin()? {
            Some(server) => target.ask(&server, self.reason.as_deref(), self.force)?,
            None => {
                let deployment = config.open()?;
                if !self.force {
                    self.realm.map_or(Ok(()), |realm| {
                        super::known_realm(&deployment.config, realm, "--force revokes it all the same")
                    })?;
                }
                let store = deployment.store()?;
                let (actor, reason) = (Actor::command_line(), take_back::reason(self.reason.clone())?);
                target.take_back(&TakeBack { store: &*store, actor: &actor, now: clock::now(), reason })?
            }
        };
        if self.json {
            output::json(&taken)?;
        } else {
            output::object(&output::yes_or_no(&taken, "on_record"))?;
            if taken.get("on_record") == Some(&json!(false)) || taken.get("keys_on_record") == Some(&json!(0)) {
                output::note(&"the ledger has no such key: if you expected one, look for a typing error");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn target(&self, config: &ConfigArgument) -> Result<Target, Failure> {
        match (&self.key, self.app, self.realm, self.issued_before) {
            (Some(key), ..) => {
                if self.issued_before.is_some() {
                    return Err(Failure::Usage("--issued-before goes with --app or --realm".to_owned()));
                }
                Ok(Target::Key(id_argument::find_all(&api_key_argument::read(key)?, config, &self.server)?))
            }
            (None, Some(app), realm, before) => Ok(Target::App(app, realm, before)),
            (None, None, Some(realm), Some(before)) => Ok(Target::Realm(realm, before)),
            _ => Err(Failure::Usage("--realm alone takes --issued-before too: say until when".to_owned())),
        }
    }
}

impl Target {
    fn take_back(&self, take_back: &TakeBack<'_>) -> Result<Value, Failure> {
        let taken = match self {
            Target::Key(ids) => serde_json::to_value(take_back.revoke_same(ids, "api_key.revoke")?),
            Target::App(app, realm, before) => serde_json::to_value(take_back.revoke_app(*app, *realm, *before)?),
            Target::Realm(realm, before) => serde_json::to_value(take_back.revoke_realm(*realm, *before)?),
        };
        Ok(taken.map_err(std::io::Error::from)?)
    }

    fn ask(&self, client: &Client, reason: Option<&str>, force: bool) -> Result<Value, Failure> {
        let realm = |realm: Realm| realm.to_string();
        Ok(match self {
            Target::Key(ids) => {
                let id = ids.first().ok_or_else(|| Failure::Usage("name a key".to_owned()))?;
                let query = reason.map(|reason| {
                    form_urlencoded::Serializer::new("?".to_owned()).append_pair("reason", reason).finish()
                });
                client.delete(&format!("/v1/api-keys/{id}{}", query.unwrap_or_default()))?
            }
            Target::App(app, of, before) => client.post(
                "/v1/revocations",
                &json!({"app_id": app, "realm": of.map(realm), "issued_before": before, "reason": reason, "force": force}),
            )?,
            Target::Realm(of, before) => client
                .post("/v1/revocations", &json!({"realm": realm(*of), "issued_before": before, "reason": reason, "force": force}))?,
        })
    }
}
