//! Keyring, key sources and pepper, and whether they are those of the store.

use bulla::{Binding, Keyring, KeyringDocument, Sources};
use jiff::Timestamp;

use super::Report;
use crate::{action::rotation, belonging, deployment::Deployment, secret::Sample, store::Store};

/// Stored hashes that are held against the pepper: enough to tell another pepper from one damaged row.
const SAMPLE: u32 = 100;

/// Looks at all of them.
pub(super) fn check(deployment: &Deployment, store: &dyn Store, now: Timestamp, report: &mut Report) {
    // Before the keyring is looked at, which the store then remembers.
    let known = store.keyring_memories();
    let document = match deployment.document(store) {
        Ok(document) => document,
        Err(error) => return report.wrong("keyring", error),
    };
    report.ok("keyring", format_args!("serial {}, {} versions", document.serial(), document.versions().len()));
    if document.active().is_none() {
        report.wrong("keyring", "no version is active, so nothing can be issued: activate one");
    }
    if let Ok(known) = known
        && let Some(trouble) = belonging::other_keyrings(&document, &known)
    {
        // One that the store has never seen before may be a mistake that was just made.
        let status = if known.contains_key(&document.id()) { super::Status::Warning } else { super::Status::Wrong };
        report.note("keyring", status, trouble);
    }
    match belonging::younger_store(&document, store, now) {
        Ok(Some(trouble)) if trouble.certain => report.wrong("store", trouble.told),
        Ok(Some(trouble)) => report.warning("store", trouble.told),
        Ok(None) => {}
        Err(error) => report.wrong("store", error),
    }
    check_clock(&document, now, report);
    check_sources(deployment, &document, report);
    check_other_keys(deployment, &document, report);
    check_pepper(deployment, &document, store, report);
}

fn check_clock(document: &KeyringDocument, now: Timestamp, report: &mut Report) {
    match rotation::latest_change(document).filter(|latest| *latest > now) {
        Some(latest) => report.wrong(
            "clock",
            format_args!(
                "it is {now} here, and the keyring was changed at {latest}: set the clock (chrony, systemd-timesyncd)"
            ),
        ),
        None => report.ok("clock", now),
    }
}

fn check_sources(deployment: &Deployment, document: &KeyringDocument, report: &mut Report) {
    match Keyring::load(document, &deployment.sources, &deployment.config.all_realms()) {
        Ok(keyring) => {
            for served in keyring.served() {
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

/// What the sources of the MAC key and of the pepper say of their keys; one that fails is told where it is used.
fn check_other_keys(deployment: &Deployment, document: &KeyringDocument, report: &mut Report) {
    let peppers = deployment.config.pepper.iter().flat_map(|pepper| pepper.sources.values());
    let all =
        [("keyring", &deployment.config.keyring.mac_source)].into_iter().chain(peppers.map(|uri| ("pepper", uri)));
    // The configuration names them, so its list of trusted sources, which is for those in the keyring, need not.
    let sources = Sources::new(&deployment.config.folder);
    let binding = Binding { keyring: document.id(), version: None, wrapped: None };
    for (check, uri) in all {
        let remarks = sources.open(uri, binding).and_then(|source| source.remarks());
        for remark in remarks.unwrap_or_default() {
            report.warning(check, format_args!("{uri}: {remark}"));
        }
    }
}

/// Opens the pepper, and holds stored hashes against it: another pepper is opened as well as the right one.
fn check_pepper(deployment: &Deployment, document: &KeyringDocument, store: &dyn Store, report: &mut Report) {
    let peppers = match deployment.peppers(document) {
        Ok(Some(peppers)) => peppers,
        Ok(None) => {
            return report.warning(
                "pepper",
                "there is no [pepper]: no secret half is issued or checked, an administrator's neither",
            );
        }
        Err(error) => return report.wrong("pepper", error),
    };
    let rows = match store.secret_sample(0, SAMPLE) {
        Ok(rows) => rows,
        Err(error) => return report.wrong("pepper", error),
    };
    let mut sample = Sample::default();
    for (id, row) in &rows {
        let _told_below = sample.look(id, row, &peppers);
    }
    match sample.trouble() {
        Some(trouble) => report.wrong("pepper", trouble),
        None => report.ok(
            "pepper",
            format_args!("version {} for new hashes; {} stored ones fit", peppers.active().version(), rows.len()),
        ),
    }
}
