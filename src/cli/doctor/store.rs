//! The store: there, readable and writable.

use std::sync::Arc;

use super::Report;
use crate::{
    action::{Actor, take_back::AHEAD},
    clock,
    deployment::Deployment,
    store::{Following, Store, StoreError},
};

/// The store, if it can be opened.
pub(super) fn check(deployment: &Deployment, report: &mut Report) -> Option<Arc<dyn Store>> {
    let store = match deployment.store() {
        Ok(store) => store,
        Err(error) => {
            report.wrong("store", error);
            return None;
        }
    };
    // What is written in a transaction that is aborted is not.
    let trial = Actor::command_line().record(clock::now(), "doctor", None, serde_json::json!({}));
    let writable = store.transaction(&mut |transaction| {
        transaction.append_audit(&trial)?;
        Err(StoreError::Aborted)
    });
    match (store.count(), writable) {
        (Ok(keys), Err(StoreError::Aborted)) => report.ok("store", format_args!("{keys} API keys on record")),
        (Err(error), _) | (_, Err(error)) => report.wrong("store", error),
        (Ok(_), Ok(())) => {}
    }
    check_revocations(&*store, report);
    check_rules(&*store, report);
    Some(store)
}

/// Rules that were made by a clock that was ahead: verifiers take no key that is dated as far ahead as a new one would be.
fn check_rules(store: &dyn Store, report: &mut Report) {
    let now = clock::now();
    match store.rules_behind(now.checked_add(AHEAD).unwrap_or(now)) {
        Ok(rules) => {
            for (what, rule) in rules {
                let message = format!(
                    "the rule about {what} takes back what is issued before {rule}, and it is {now} here: nothing can be issued \
                     there until then. Set the clock right; if the rule is wrong see \"A rule that lies ahead\" in \
                     docs/RECOVERY.md"
                );
                report.wrong("revocations", message);
            }
        }
        Err(error) => report.wrong("revocations", error),
    }
}

/// Reads the whole log, as the service does at its start.
fn check_revocations(store: &dyn Store, report: &mut Report) {
    let mut log = Following::default();
    match log.read_on(store, clock::now_seconds()) {
        Ok(_) => match log.damage() {
            None => report.ok("revocations", format_args!("{} in force", log.log.revocations().len())),
            Some(damage) => report.wrong("revocations", damage),
        },
        Err(error) => report.wrong("revocations", error),
    }
}
