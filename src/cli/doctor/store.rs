//! The store: whether it exists and can be read and written.

use std::sync::Arc;

use super::Report;
use crate::{
    action::{Actor, revoke::AHEAD},
    clock,
    deployment::Deployment,
    store::{LogTail, Remark, Store, StoreError},
};

/// Checks the store, and returns it if it can be opened.
pub(super) fn check(deployment: &Deployment, report: &mut Report) -> Option<Arc<dyn Store>> {
    let store = match deployment.store() {
        Ok(store) => store,
        Err(error) => {
            report.wrong("store", error);
            return None;
        }
    };
    // Tries to write in a transaction and aborts it.
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
    match store.remarks() {
        Ok(remarks) => {
            for Remark { good, text } in remarks {
                if good { report.ok("store", text) } else { report.warning("store", text) }
            }
        }
        Err(error) => report.wrong("store", error),
    }
    check_revocations(&*store, report);
    check_rules(&*store, report);
    Some(store)
}

/// Finds rules of a clock that was ahead. A new key would need a time of issue that verifiers reject as too far ahead.
fn check_rules(store: &dyn Store, report: &mut Report) {
    let now = clock::now();
    match store.rules_behind(now.checked_add(AHEAD).unwrap_or(now)) {
        Ok(rules) => {
            for (what, rule) in rules {
                let message = format!(
                    "a rule revokes what is issued for {what} before {rule}, but it is {now} here: nothing can be issued there until \
                     then. Set the clock. If the rule is wrong, see \"A rule that lies ahead\" in docs/RECOVERY.md"
                );
                report.wrong("revocations", message);
            }
        }
        Err(error) => report.wrong("revocations", error),
    }
}

/// Reads the whole log, as the service does at its start.
fn check_revocations(store: &dyn Store, report: &mut Report) {
    let mut log = LogTail::default();
    match log.poll(store, clock::now_seconds()) {
        Ok(_) => match log.damage() {
            None => report.ok("revocations", format_args!("{} in force", log.log.revocations().len())),
            Some(damage) => report.wrong("revocations", damage),
        },
        Err(error) => report.wrong("revocations", error),
    }
}
