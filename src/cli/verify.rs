//! `bulla verify`.

use std::{net::IpAddr, process::ExitCode, sync::Arc};

use bulla::{ApiKey, HashMemory, Opened, Realm, Rejection, Revocations, SecretCheck, Verifier, VerifyError};
use clap::Args;
use serde_json::{Value, json};

use super::{
    ConfigArgument, Outcome,
    api_key_argument::ApiKeyArgument,
    client::{Client, ServerArgument},
    output::{self, ERROR, SUCCESS, WARNING},
};
use crate::{
    api::{
        accepted::Accepted,
        verdict::{Answer, Wanted},
    },
    clock,
    config::Config,
    deployment::{Deployment, DeploymentError},
    imported::{Candidate, ImportedKeys},
    secret::{self, Found, Peppers, Stored},
    server::read_imported,
    store::{Following, Store, StoreError},
};

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
        let store = deployment.store()?;
        let (document, keyring) = deployment.keyring(&*store)?;
        let realms = if self.realm.is_empty() { deployment.config.default_realms() } else { self.realm.clone() };
        for realm in &realms {
            super::known_realm(&deployment.config, *realm, "no key of another realm is accepted")?;
        }
        let (scopes, audience) = (self.scope.clone(), self.audience.clone());
        let wanted = Wanted { realms, scopes, audience, address: self.ip };
        let (mut taken_back, now) = (Following::default(), clock::now_seconds());
        taken_back.read_on(&*store, now)?;
        if let Some(damage) = taken_back.damage() {
            output::note(&damage);
        }
        let verifier = Verifier::new(&keyring)
            .requiring_secrets(&secret::requiring(&deployment.config))
            .with_revocations(Arc::new(taken_back.log.revocations().clone()));
        let verdict = match wanted.open(&verifier, &text, now) {
            Ok(Opened::Verified(verified)) => Ok(verified),
            Ok(Opened::Secret(check)) => match deployment.peppers(&document)? {
                Some(peppers) => match prove(&deployment.config, &*store, &peppers, &check)? {
                    Ok(()) => wanted.accept(check, &verifier, now),
                    Err(error) => Err(error),
                },
                None => Err(VerifyError::SecretUnchecked),
            },
            Err(error) => Err(error),
        };
        let verdict = match verdict {
            Err(VerifyError::Rejected(Rejection::Malformed | Rejection::Checksum))
                if text.parse::<ApiKey>().is_err() =>
            {
                let imported = judge_imported(&deployment, &*store, &text, &wanted, verifier.revocations())?;
                imported.unwrap_or_else(|| verdict.map(Accepted::Sealed))
            }
            sealed => sealed.map(Accepted::Sealed),
        };
        let answer = serde_json::to_value(Answer::for_operator(&verdict)).map_err(std::io::Error::from)?;
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

/// Judges a text that may be an imported key, in the order of sealed ones; `None` where it is none.
fn judge_imported(
    deployment: &Deployment,
    store: &dyn Store,
    text: &str,
    wanted: &Wanted,
    taken_back: &Revocations,
) -> Result<Option<Result<Accepted, VerifyError>>, DeploymentError> {
    let known = ImportedKeys::default();
    read_imported(&known, store, &deployment.config)?;
    let accepting =
        |realm: &&Realm| deployment.config.realms.get(realm.as_str()).is_some_and(|one| one.accepts_imported());
    let realms: Vec<Realm> = wanted.realms.iter().filter(accepting).copied().collect();
    let judge = |candidate: &Candidate| -> Result<Accepted, VerifyError> {
        candidate.key().holds(&realms, taken_back, clock::now_seconds())?;
        match candidate.matches() {
            Ok(true) => candidate.key().grants(&wanted.scopes)?,
            Ok(false) => return Err(Rejection::SecretWrong.into()),
            Err(error) => {
                output::note(&error);
                return Err(VerifyError::SecretUnchecked);
            }
        }
        Ok(Accepted::Imported(Arc::clone(candidate.key())))
    };
    let (candidates, mut verdict) = (known.recognize(text), None);
    for candidate in &candidates {
        verdict = Some(judge(candidate));
        if matches!(verdict, Some(Ok(_))) {
            break;
        }
    }
    let Some(Ok(Accepted::Imported(key))) = &verdict else { return Ok(verdict) };
    // The same key may have been imported under two rules: a rejection of one beats an acceptance of the other.
    for candidate in candidates.iter().filter(|one| one.key().id.realm() == key.id.realm()) {
        let held = candidate.key().holds(&realms, taken_back, clock::now_seconds());
        if let Err(rejection @ (Rejection::Revoked | Rejection::Expired)) = held {
            match candidate.matches() {
                Ok(false) => {}
                Ok(true) => return Ok(Some(Err(rejection.into()))),
                Err(error) => {
                    output::note(&error);
                    return Ok(Some(Err(VerifyError::SecretUnchecked)));
                }
            }
        }
    }
    Ok(verdict)
}

/// Whether the secret half is right by one of the stored hashes.
fn prove(
    config: &Config,
    store: &dyn Store,
    peppers: &Peppers,
    check: &SecretCheck,
) -> Result<Result<(), VerifyError>, StoreError> {
    let stored = Stored::read(&check.id(), store.secret_hashes(&check.id(), clock::now())?, peppers);
    let (scheme, active) = (secret::scheme_of(config, check.id().realm()), peppers.active().version());
    Ok(match stored.find(&peppers.digests(check), &mut HashMemory::default(), scheme, active) {
        Found::Right { .. } => Ok(()),
        Found::Wrong => Err(Rejection::SecretWrong.into()),
        Found::CouldNotTell(error) => {
            output::note(&error);
            Err(VerifyError::SecretUnchecked)
        }
    })
}
