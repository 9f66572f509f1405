//! Keyring, key sources and pepper, and whether they belong to the store.

use bulla::{
    keyring::{Keyring, KeyringDocument, KeyringId},
    source::{EncryptionContext, Sources},
};
use jiff::Timestamp;

use super::Report;
use crate::{
    action::rotation,
    cli::confirm::counted,
    deployment::{Deployment, consistency},
    secret::ScrubFindings,
    store::{KeyringMemories, Store},
};

/// Stored hashes that are checked with the pepper: enough to tell a wrong pepper from one damaged row.
const SAMPLE: u32 = 100;

/// Checks all of them. The keyring's id, where it can be read.
pub(super) fn check(
    deployment: &Deployment,
    store: &dyn Store,
    now: Timestamp,
    report: &mut Report,
) -> Option<KeyringId> {
    // Before the keyring is read, because the store then remembers it.
    let known = store.keyring_memories();
    let document = match deployment.document(store) {
        Ok(document) => document,
        Err(error) => {
            report.wrong("keyring", error);
            return None;
        }
    };
    let versions = counted(document.versions().len() as u64, "version");
    report.ok("keyring", format_args!("serial {}, {versions}", document.serial()));
    check_sealing(&document, now, report);
    match known {
        Ok(memories) => check_memories(&document, &memories, report),
        Err(error) => report.wrong("keyring", error),
    }
    check_counts(store, report);
    match consistency::younger_store(&document, store, now) {
        Ok(Some(trouble)) if trouble.certain => report.wrong("store", trouble.text),
        Ok(Some(trouble)) => report.warning("store", trouble.text),
        Ok(None) => {}
        Err(error) => report.wrong("store", error),
    }
    check_clock(&document, now, report);
    check_sources(deployment, &document, report);
    deployment.shared_keys(&document, true).into_iter().for_each(|shared| report.wrong("keyring", shared.error));
    check_other_keys(deployment, &document, report);
    check_pepper(deployment, &document, store, report);
    Some(document.id())
}

/// Whether API keys can be issued.
fn check_sealing(document: &KeyringDocument, now: Timestamp, report: &mut Report) {
    match document.active() {
        None => report.wrong(
            "keyring",
            "no version is active, so no API key can be issued: activate one with `bulla keyring activate`",
        ),
        Some(active) if rotation::sealing(document, now).is_none() => report.wrong(
            "keyring",
            format_args!(
                "the active version {0} is past its seal_until, so no API key can be issued: stage and activate the next one, \
                 or remove the limit with `bulla keyring limit {0} --no-seal-until`",
                active.number
            ),
        ),
        Some(_) => {}
    }
}

/// What the store remembers of keyrings, of this one and of others.
fn check_memories(document: &KeyringDocument, memories: &KeyringMemories, report: &mut Report) {
    if let Some(trouble) = consistency::other_keyrings(document, &memories.known) {
        // A keyring that the store has never seen is probably a mistake.
        let is_known = memories.known.contains_key(&document.id());
        report.note("keyring", if is_known { super::Status::Warning } else { super::Status::Wrong }, trouble);
    }
    if memories.damaged > 0 {
        let rows = counted(memories.damaged as u64, "row");
        report.warning(
            "keyring",
            format_args!(
                "{rows} of the store's memory of keyrings cannot be read, and the others are used: find out who changed the \
                 store, and restore or delete them (keyring_memory, keyring_burned)"
            ),
        );
    }
}

/// How many keys were sealed, as far as the store can be read.
fn check_counts(store: &dyn Store, report: &mut Report) {
    match store.seal_counts() {
        Ok(counts) if counts.damaged > 0 => {
            let rows = counted(counts.damaged as u64, "row");
            report.warning(
                "store",
                format_args!(
                    "{rows} of the seal counts cannot be read, and the others count: find out who changed the store, and \
                     restore or delete them (seal_counts)"
                ),
            );
        }
        Ok(_) => {}
        Err(error) => report.wrong("store", error),
    }
}

fn check_clock(document: &KeyringDocument, now: Timestamp, report: &mut Report) {
    match rotation::latest_change(document).filter(|latest| *latest > now) {
        Some(latest) => report.wrong(
            "clock",
            format_args!(
                "it is {now} here, but the keyring was changed later, at {latest}: set the clock (chrony, systemd-timesyncd)"
            ),
        ),
        None => report.ok("clock", now),
    }
}

fn check_sources(deployment: &Deployment, document: &KeyringDocument, report: &mut Report) {
    match Keyring::load(document, &deployment.sources, &deployment.config.all_realms()) {
        Ok(keyring) => {
            for served in keyring.source_reports() {
                report.ok("source", format_args!("version {} from {}", served.version, served.source));
                let remarks = document.remarks(served.version, &served.source, &deployment.sources);
                for remark in remarks.unwrap_or_default() {
                    report
                        .warning("source", format_args!("version {} from {}: {remark}", served.version, served.source));
                }
                for error in &served.failed {
                    report.warning("source", error);
                }
            }
        }
        Err(error) => report.wrong("source", error),
    }
}

/// Remarks of the sources of the MAC key and of the pepper. Other checks report the sources that fail.
fn check_other_keys(deployment: &Deployment, document: &KeyringDocument, report: &mut Report) {
    let peppers = deployment.config.pepper.iter().flat_map(|pepper| pepper.sources.values());
    let all =
        [("keyring", &deployment.config.keyring.mac_source)].into_iter().chain(peppers.map(|uri| ("pepper", uri)));
    // The configuration names these sources; its list of trusted sources is for the keyring's.
    let sources = Sources::new(&deployment.config.folder);
    let binding = EncryptionContext { keyring: document.id(), version: None, wrapped: None };
    for (check, uri) in all {
        let remarks = sources.open(uri, binding).and_then(|source| source.remarks());
        for remark in remarks.unwrap_or_default() {
            report.warning(check, format_args!("{uri}: {remark}"));
        }
    }
}

/// Opens the pepper and checks stored hashes with it, because a wrong pepper opens as well.
fn check_pepper(deployment: &Deployment, document: &KeyringDocument, store: &dyn Store, report: &mut Report) {
    let peppers = match deployment.peppers(document) {
        Ok(Some(peppers)) => peppers,
        Ok(None) => {
            return report.warning(
                "pepper",
                "there is no [pepper], so no secret half can be issued or checked, not even an administrator's",
            );
        }
        Err(error) => return report.wrong("pepper", error),
    };
    let stored = match store.secret_sample(0, SAMPLE) {
        Ok(stored) => stored,
        Err(error) => return report.wrong("pepper", error),
    };
    let mut sample = ScrubFindings::default();
    stored.damaged.iter().for_each(|_| sample.note_unreadable());
    for (id, row) in &stored.rows {
        let _reported_below = sample.check(id, row, &peppers);
    }
    match sample.trouble() {
        Some(trouble) => report.wrong("pepper", trouble),
        None => report.ok(
            "pepper",
            format_args!(
                "version {} is for new hashes; {} stored hashes match",
                peppers.active().version(),
                stored.rows.len()
            ),
        ),
    }
}
