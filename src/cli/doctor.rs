//! `bulla doctor`: looks at everything a deployment stands on, and says what to do about what is wrong.

use std::{os::unix::fs::PermissionsExt, path::Path, process::ExitCode};

use bulla::{Binding, Keyring, KeyringDocument, Sources};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    ConfigArgument, Outcome,
    output::{self, BAD, CARE, GOOD},
};
use crate::{
    action::Actor,
    clock,
    config::Listener,
    deployment::Deployment,
    store::{Following, Store, StoreError},
    tls::ListenerTls,
};

/// Check config, keyring, sources, store, certificates, clock and file modes, and say what to do. Exit 0 when nothing is wrong.
#[derive(Args)]
pub(super) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Wrong,
}

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    message: String,
}

#[derive(Serialize)]
struct Findings {
    ok: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let mut findings = Vec::new();
        examine(&config.config, &mut findings);
        let ok = findings.iter().all(|finding| finding.status != Status::Wrong);
        let all = Findings { ok, findings };
        if self.json {
            output::json(&all)?;
        } else {
            for finding in &all.findings {
                let (style, word) = match finding.status {
                    Status::Ok => (GOOD, "ok"),
                    Status::Warning => (CARE, "warning"),
                    Status::Wrong => (BAD, "wrong"),
                };
                output::line(format_args!("{style}{word:8}{style:#} {:12} {}", finding.check, finding.message))?;
            }
        }
        Ok(ExitCode::from(u8::from(!ok)))
    }
}

fn examine(config: &Path, findings: &mut Vec<Finding>) {
    let mut note = |check, status, message: String| findings.push(Finding { check, status, message });
    let deployment = match Deployment::open(config) {
        Ok(deployment) => deployment,
        Err(error) => return note("config", Status::Wrong, error.to_string()),
    };
    note("config", Status::Ok, config.display().to_string());
    if deployment.config.verify.default_realms.is_empty() {
        let message = "verify.default_realms is empty: requests that name no realm are rejected".to_owned();
        note("config", Status::Warning, message);
    }
    let store = match deployment.store() {
        Ok(store) => store,
        Err(error) => return note("store", Status::Wrong, error.to_string()),
    };
    // What is written in a transaction that is given up is not.
    let trial = Actor::command_line().record(clock::now(), "doctor", None, serde_json::json!({}));
    let writable = store.transaction(&mut |transaction| {
        transaction.append_audit(&trial)?;
        Err(StoreError::GivenUp)
    });
    match (store.count(), writable) {
        (Ok(keys), Err(StoreError::GivenUp)) => note("store", Status::Ok, format!("{keys} API keys on record")),
        (Err(error), _) | (_, Err(error)) => note("store", Status::Wrong, error.to_string()),
        (Ok(_), Ok(())) => {}
    }
    check_revocations(&*store, &mut note);
    match deployment.document(&*store) {
        Ok(document) => {
            note(
                "keyring",
                Status::Ok,
                format!("serial {}, {} versions", document.serial(), document.versions().len()),
            );
            if document.active().is_none() {
                note(
                    "keyring",
                    Status::Wrong,
                    "no version is active, so nothing can be issued: activate one".to_owned(),
                );
            }
            check_clock(&document, clock::now(), &mut note);
            check_sources(&deployment, &document, &mut note);
            check_other_keys(&deployment, &document, &mut note);
            match deployment.peppers(&document) {
                Ok(Some(peppers)) => {
                    note("pepper", Status::Ok, format!("version {} for new hashes", peppers.active().version()));
                }
                Ok(None) => {
                    let message =
                        "there is no [pepper]: no secret half is issued or checked, an administrator's neither";
                    note("pepper", Status::Warning, message.to_owned());
                }
                Err(error) => note("pepper", Status::Wrong, error.to_string()),
            }
        }
        Err(error) => note("keyring", Status::Wrong, error.to_string()),
    }
    match deployment.feed_key() {
        Ok(Some(key)) => note("feed", Status::Ok, format!("signed by {}", key.verifying_key())),
        Ok(None) => note("feed", Status::Ok, "none: feed.signing_key is not set".to_owned()),
        Err(error) => note("feed", Status::Wrong, error.to_string()),
    }
    match deployment.assertions() {
        Ok(Some(assertions)) => {
            let ids: Vec<&str> = assertions.key_ids().collect();
            note("assertion", Status::Ok, format!("signed by the first of {}", ids.join(", ")));
        }
        Ok(None) => note("assertion", Status::Ok, "none: assertion.signing_keys is empty".to_owned()),
        Err(error) => note("assertion", Status::Wrong, error.to_string()),
    }
    check_certificates(&deployment, clock::now(), &mut note);
    check_modes(&deployment, &mut note);
}

/// Reads the whole log, as the service does at its start.
fn check_revocations(store: &dyn Store, note: &mut impl FnMut(&'static str, Status, String)) {
    let mut log = Following::default();
    match log.read_on(store, clock::now_seconds()) {
        Ok(_) => match log.damage() {
            None => note("revocations", Status::Ok, format!("{} in force", log.log.revocations().len())),
            Some(damage) => note("revocations", Status::Wrong, damage),
        },
        Err(error) => note("revocations", Status::Wrong, error.to_string()),
    }
}

fn check_clock(document: &KeyringDocument, now: Timestamp, note: &mut impl FnMut(&'static str, Status, String)) {
    let latest =
        document.versions().iter().flat_map(|record| [Some(record.created_at), record.activated_at]).flatten().max();
    match latest.filter(|latest| *latest > now) {
        Some(latest) => note(
            "clock",
            Status::Wrong,
            format!(
                "it is {now} here, and the keyring was changed at {latest}: set the clock (chrony, systemd-timesyncd)"
            ),
        ),
        None => note("clock", Status::Ok, now.to_string()),
    }
}

fn check_sources(
    deployment: &Deployment,
    document: &KeyringDocument,
    note: &mut impl FnMut(&'static str, Status, String),
) {
    match Keyring::load(document, &deployment.sources, &deployment.config.all_realms()) {
        Ok(keyring) => {
            for served in keyring.served() {
                note("source", Status::Ok, format!("version {} from {}", served.version, served.source));
                let remarks = document.remarks(served.version, &served.source, &deployment.sources);
                for remark in remarks.unwrap_or_default() {
                    note(
                        "source",
                        Status::Warning,
                        format!("version {} from {}: {remark}", served.version, served.source),
                    );
                }
                for error in &served.failed {
                    note("source", Status::Warning, error.to_string());
                }
            }
        }
        Err(error) => note("source", Status::Wrong, error.to_string()),
    }
}

/// What the sources of the MAC key and of the pepper say of their keys; one that fails is told where it is used.
fn check_other_keys(
    deployment: &Deployment,
    document: &KeyringDocument,
    note: &mut impl FnMut(&'static str, Status, String),
) {
    let peppers = deployment.config.pepper.iter().flat_map(|pepper| pepper.sources.values());
    let all =
        [("keyring", &deployment.config.keyring.mac_source)].into_iter().chain(peppers.map(|uri| ("pepper", uri)));
    // The configuration names them, so its list of trusted sources, which is for those in the keyring, need not.
    let sources = Sources::new(&deployment.config.folder);
    let binding = Binding { keyring: document.id(), version: None, wrapped: None };
    for (check, uri) in all {
        let remarks = sources.open(uri, binding).and_then(|source| source.remarks());
        for remark in remarks.unwrap_or_default() {
            note(check, Status::Warning, format!("{uri}: {remark}"));
        }
    }
}

fn check_certificates(deployment: &Deployment, now: Timestamp, note: &mut impl FnMut(&'static str, Status, String)) {
    for Listener { plane, tls, .. } in deployment.config.listeners() {
        let Some(tls) = tls else { continue };
        match ListenerTls::load(tls) {
            Ok(loaded) => {
                let until = loaded.validity.until;
                let (status, told) = match loaded.validity.trouble(now) {
                    Some(trouble) => (Status::Wrong, trouble),
                    None if loaded.validity.ends_soon(now) => {
                        (Status::Warning, format!("expires at {until}: renew it"))
                    }
                    None => (Status::Ok, format!("has its key, and is good until {until}")),
                };
                note("certificate", status, format!("[{plane}.tls] {} {told}", tls.certificate.display()));
            }
            Err(error) => note("certificate", Status::Wrong, format!("[{plane}.tls]: {error}")),
        }
        if tls.client_ca.is_some() && tls.clients.is_empty() {
            let message = format!("[{plane}.tls] has a client_ca, and no name in [{plane}.tls.clients] has scopes");
            note("certificate", Status::Warning, message);
        }
    }
}

/// Files that hold or protect keys; a key file that others may read is an error of its source already.
fn check_modes(deployment: &Deployment, note: &mut impl FnMut(&'static str, Status, String)) {
    let mut paths = vec![deployment.config.folder.clone()];
    paths.extend(deployment.keyring_path());
    if let Some(path) = deployment.config.store.url.strip_prefix("sqlite:") {
        paths.push(deployment.config.folder.join(path));
    }
    let mut sound = true;
    for path in paths {
        let Ok(metadata) = path.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o002 != 0 {
            sound = false;
            note(
                "modes",
                Status::Wrong,
                format!("anyone may write {} (mode {mode:04o}): `chmod o-w` it", path.display()),
            );
        }
    }
    if sound {
        note("modes", Status::Ok, "nobody else may write configuration, keyring or store".to_owned());
    }
}
