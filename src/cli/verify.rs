//! `bulla verify`.

use std::{net::IpAddr, process::ExitCode};

use bulla::{ApiKey, Realm, Rejection, VerifyError};
use clap::Args;
use serde_json::{Value, json};

use super::{
    ConfigArgument, Outcome,
    api_key_argument::ApiKeyArgument,
    client::{Client, ServerArgument},
    local_verification,
    output::{self, ERROR, SUCCESS, WARNING},
};
use crate::{api::verdict::VerifyAnswer, verification::Wanted};

const REJECTED: u8 = 1;
const COULD_NOT_TELL: u8 = 2;

/// Verify an API key: exit 0 accepted, 1 rejected, 2 could not tell
#[derive(Args)]
#[command(
    mut_arg("server", |server| server.help("Ask the data plane of this server, http://HOST:PORT, https://HOST:PORT or unix:PATH, instead of \
        judging by the keyring and store that the configuration names; it takes no admin API key")),
    after_help = "Examples:\n  bulla verify - < key.txt\n  bulla verify --realm live --scope orders.read --ip 192.0.2.7 - < key.txt"
)]
pub(super) struct Verify {
    #[command(flatten)]
    key: ApiKeyArgument,
    /// A realm to accept; without any, the configured default counts
    #[arg(long, value_name = "REALM")]
    realm: Vec<Realm>,
    /// A scope that is needed; all of them are
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The audience that the caller is
    #[arg(long)]
    audience: Option<String>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Verify {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let text = self.key.read()?;
        if let Some(server) = self.server.anonymous()? {
            return self.ask(&server, &text);
        }
        let deployment = config.open()?;
        let realms = if self.realm.is_empty() { deployment.config.default_realms() } else { self.realm.clone() };
        for realm in &realms {
            super::known_realm(&deployment.config, *realm, "no key of another realm is accepted")?;
        }
        let (scopes, audience) = (self.scope.clone(), self.audience.clone());
        let wanted = Wanted { realms, scopes, audience, address: self.ip };
        let verdict = local_verification::verify(&deployment, &text, &wanted)?;
        let answer = serde_json::to_value(VerifyAnswer::for_operator(&verdict)).map_err(std::io::Error::from)?;
        if self.json {
            output::json(&answer)?;
        } else {
            match &verdict {
                Ok(_) => print_accepted(&answer)?,
                Err(VerifyError::Rejected(reason)) => {
                    output::line(format_args!("{ERROR}rejected{ERROR:#}  {} ({reason})", reason.code()))?;
                }
                Err(error @ (VerifyError::SecretUnchecked | VerifyError::Stale)) => {
                    output::line(format_args!("{WARNING}could not tell{WARNING:#}  {error}"))?;
                }
            }
        }
        if let Err(VerifyError::Rejected(reason)) = &verdict {
            self.hint(*reason, &text, &wanted.realms);
        }
        Ok(ExitCode::from(match verdict {
            Ok(_) => 0,
            Err(VerifyError::Rejected(_)) => REJECTED,
            Err(VerifyError::SecretUnchecked | VerifyError::Stale) => COULD_NOT_TELL,
        }))
    }

    /// Says what is often meant by a call that ends so.
    fn hint(&self, reason: Rejection, text: &str, realms: &[Realm]) {
        match (reason, text.parse::<ApiKey>()) {
            (Rejection::Realm, Ok(key)) => {
                let (realm, defaults) =
                    (key.id().realm(), if self.realm.is_empty() { " (verify.default_realms)" } else { "" });
                let accepted = joined(realms);
                output::note(&format!(
                    "the key is of the realm `{realm}`; accepted here: {accepted}{defaults}. `--realm {realm}` accepts it"
                ));
            }
            (Rejection::Address, _) if self.ip.is_none() => {
                output::note(&"the key is bound to addresses, and no address was given: --ip names the client's");
            }
            (Rejection::Audience, _) if self.audience.is_none() => {
                output::note(&"the key is bound to audiences, and none was given: --audience names the caller's");
            }
            (Rejection::Malformed, Err(_)) if self.key.is_file() => {
                output::note(
                    &"that is the name of a file, not an API key: `bulla verify - < FILE` reads the key from it",
                );
            }
            _ => {}
        }
    }

    fn ask(&self, server: &Client, text: &str) -> Outcome {
        let realms: Vec<&str> = self.realm.iter().map(Realm::as_str).collect();
        let body = json!({
            "api_key": text, "realms": realms, "scopes": self.scope, "audience": self.audience,
            "ip": self.ip.map(|ip| ip.to_string()),
        });
        let answer = server.send::<Value>("POST", "/v1/verify", Some(&body))?;
        let active = answer.get("active").and_then(serde_json::Value::as_bool) == Some(true);
        if self.json {
            output::json(&answer)?;
        } else if active {
            print_accepted(&answer)?;
        } else {
            let why = text_of(&answer, "error");
            output::line(format_args!(
                "{ERROR}rejected{ERROR:#}  {}",
                if why.is_empty() { "the server's log says why" } else { &why }
            ))?;
        }
        Ok(ExitCode::from(if active { 0 } else { REJECTED }))
    }
}

fn print_accepted(answer: &Value) -> std::io::Result<()> {
    output::line(format_args!("{SUCCESS}accepted{SUCCESS:#}"))?;
    let or = |name: &str, otherwise: &str| {
        let text = text_of(answer, name);
        if text.is_empty() { otherwise.to_owned() } else { text }
    };
    output::fields(&[
        ("id", text_of(answer, "api_key_id")),
        ("app", text_of(answer, "app_id")),
        ("key version", or("version", "none: imported")),
        ("issued", text_of(answer, "issued_at")),
        ("expires", or("expires_at", "never")),
        ("scopes", text_of(answer, "scopes")),
    ])
}

fn text_of(answer: &Value, name: &str) -> String {
    match answer.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    }
}

fn joined(realms: &[Realm]) -> String {
    realms.iter().map(|realm| format!("`{realm}`")).collect::<Vec<_>>().join(", ")
}
