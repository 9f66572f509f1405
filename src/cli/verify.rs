//! `bulla verify`.

use std::{io, net::IpAddr, process::ExitCode};

use bulla::{ApiKey, Realm, Rejection, VerifyError};
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    ConfigArgument, Outcome,
    api_key_argument::ApiKeyArgument,
    client::{Client, ClientError, ServerArgument},
    local_verification,
    output::{self, ERROR, SUCCESS, WARNING},
};
use crate::{
    api::{
        issue::IssuedApiKey,
        verdict::{ActiveKey, INSUFFICIENT_SCOPE, VerifyAnswer},
        verify::Verification,
    },
    verification::Wanted,
};

const REJECTED: u8 = 1;
const COULD_NOT_TELL: u8 = 2;

/// Verify an API key: exit 0 accepted, 1 rejected, 2 could not tell
#[derive(Args)]
#[command(
    mut_arg("server", |server| server.help("Ask the data plane of this server (http://HOST:PORT, https://HOST:PORT or unix:PATH) instead of \
        the keyring and store that the configuration names; it needs no admin API key")),
    after_help = "Examples:\n  bulla verify - < key.txt\n  bulla verify --realm live --scope orders.read --ip 192.0.2.7 - < key.txt"
)]
pub(super) struct Verify {
    #[command(flatten)]
    key: ApiKeyArgument,
    /// A realm to accept (repeatable); the default is verify.default_realms
    #[arg(long, value_name = "REALM")]
    realm: Vec<Realm>,
    /// A scope that the key must grant (repeatable)
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The audience that the key must be for
    #[arg(long)]
    audience: Option<String>,
    /// The address of the client
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
        match self.server.anonymous()? {
            Some(server) => self.ask(&server, text.expose_secret()),
            None => self.verify(config, text.expose_secret()),
        }
    }

    fn verify(&self, config: &ConfigArgument, text: &str) -> Outcome {
        let deployment = config.open()?;
        let realms = if self.realm.is_empty() { deployment.config.default_realms() } else { self.realm.clone() };
        for realm in &realms {
            super::known_realm(&deployment.config, *realm, "no key of another realm is accepted")?;
        }
        let (scopes, audience) = (self.scope.clone(), self.audience.clone());
        let wanted = Wanted { realms, scopes, audience, address: self.ip };
        let verdict = local_verification::verify(&deployment, text, &wanted)?;
        let verification = Verification { answer: VerifyAnswer::for_operator(&verdict), replacement: None };
        let why = verdict.err().map(|error| match error {
            VerifyError::Rejected(reason) => Why::Rejected(Some(reason)),
            error @ (VerifyError::SecretUnchecked | VerifyError::Stale) => Why::CouldNotTell(error.to_string()),
        });
        let told = self.tell(&verification, why.as_ref());
        if let Some(Why::Rejected(Some(reason))) = why {
            self.hint(reason, text, &wanted.realms);
        }
        told
    }

    fn ask(&self, server: &Client, text: &str) -> Outcome {
        let realms: Vec<&str> = self.realm.iter().map(Realm::as_str).collect();
        let body = json!({
            "api_key": text, "realms": realms, "scopes": self.scope, "audience": self.audience,
            "ip": self.ip.map(|ip| ip.to_string()),
        });
        let verification: Verification = match server.send("POST", "/v1/verify", Some(&body)) {
            Err(ClientError::Refused { problem, .. }) if problem.r#type == "urn:bulla:problem:could-not-tell" => {
                let verification = Verification { answer: VerifyAnswer::COULD_NOT_TELL, replacement: None };
                return self.tell(&verification, Some(&Why::CouldNotTell(problem.detail)));
            }
            answer => answer?,
        };
        let why = match &verification.answer {
            VerifyAnswer::Active(_) => None,
            VerifyAnswer::Inactive { error, .. } => {
                Some(Why::Rejected((error.as_deref() == Some(INSUFFICIENT_SCOPE)).then_some(Rejection::Scope)))
            }
        };
        self.tell(&verification, why.as_ref())
    }

    /// Prints the answer, and why the key is not accepted.
    fn tell(&self, verification: &Verification, why: Option<&Why>) -> Outcome {
        if self.json {
            output::json(verification)?;
        } else {
            match (&verification.answer, why) {
                (VerifyAnswer::Active(key), _) => print_accepted(key, verification.replacement.as_ref())?,
                (_, Some(Why::Rejected(Some(reason)))) => {
                    output::line(format_args!("{ERROR}rejected{ERROR:#}  {}", told_once(*reason)))?;
                }
                (_, Some(Why::CouldNotTell(error))) => {
                    output::line(format_args!("{WARNING}could not tell{WARNING:#}  {error}"))?;
                }
                // Servers do not tell their callers.
                (_, Some(Why::Rejected(None)) | None) => {
                    output::line(format_args!("{ERROR}rejected{ERROR:#}  the server's log says why"))?;
                }
            }
        }
        Ok(ExitCode::from(match why {
            None => 0,
            Some(Why::Rejected(_)) => REJECTED,
            Some(Why::CouldNotTell(_)) => COULD_NOT_TELL,
        }))
    }

    /// Notes what the user may have forgotten.
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
                output::note(&"the key is restricted to addresses: --ip names the client's");
            }
            (Rejection::Audience, _) if self.audience.is_none() => {
                output::note(&"the key is restricted to audiences: --audience names the caller's");
            }
            (Rejection::Malformed, Err(_)) if self.key.is_file() => {
                output::note(
                    &"that is the name of a file, not an API key: `bulla verify - < FILE` reads the key from it",
                );
            }
            _ => {}
        }
    }
}

/// Why a key is not accepted.
enum Why {
    /// For this reason, if it is known.
    Rejected(Option<Rejection>),
    CouldNotTell(String),
}

/// The reason's name and what it means, once where both are the same word.
fn told_once(reason: Rejection) -> String {
    let (name, meaning) = (reason.code(), reason.to_string());
    if name == meaning { meaning } else { format!("{name} ({meaning})") }
}

fn print_accepted(key: &ActiveKey, replacement: Option<&IssuedApiKey>) -> io::Result<()> {
    output::line(format_args!("{SUCCESS}accepted{SUCCESS:#}"))?;
    output::fields(&[
        ("id", key.api_key_id.clone()),
        ("app", key.app_id.to_string()),
        ("key version", key.version.map_or_else(|| "none: imported".to_owned(), |version| version.to_string())),
        ("issued", key.issued_at.to_string()),
        ("expires", output::or_never(key.expires_at)),
        ("scopes", key.scopes.join(" ")),
        ("replaced by", replacement.map_or_else(String::new, |new| new.api_key.expose().to_owned())),
    ])?;
    match replacement {
        Some(_) => output::line("\nThe new API key is shown only once: give it to its owner now."),
        None => Ok(()),
    }
}

fn joined(realms: &[Realm]) -> String {
    realms.iter().map(|realm| format!("`{realm}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_is_told_twice() {
        assert_eq!([Rejection::Revoked, Rejection::Expired].map(told_once), ["revoked", "expired"]);
        assert_eq!(told_once(Rejection::Realm), "realm (the realm is not accepted here)");
        for reason in Rejection::ALL {
            let told = told_once(reason);
            assert!(told.starts_with(reason.code()) && !told.contains(&format!("({})", reason.code())), "{told}");
        }
    }
}
