//! The second part of a look: everything that may take long. It asks the key sources, and rotates.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use bulla::keyring::{KeyringError, Reload};
use serde_json::json;

use super::{FirstOutcome, LookOutcome, SecondPart, Trigger};
use crate::{
    action::{
        Actor,
        keyring::Change,
        rotation::{self, Step},
    },
    api::keyring::{Activate, Stage},
    clock,
    deployment::DeploymentError,
    server::Node,
    store::{SealCount, seal_warning, transact},
};

/// What looks remember.
#[derive(Default)]
pub(super) struct ReloadMemory {
    rotation: Mutex<rotation::RotationTimers>,
    /// Realms and versions whose budget was warned of.
    warned: Mutex<HashSet<(String, u32)>>,
}

/// The MAC key, what the store is to remember, the key sources, and rotation.
pub(super) fn take(
    node: &Node,
    SecondPart { trigger, first }: SecondPart,
    seen: &ReloadMemory,
    retries: bool,
) -> LookOutcome {
    let FirstOutcome { mut changed, mut failed, wants_mac_key, mut loaded } = first;
    // A source that failed before is asked again, or a look that does not ask it would report success.
    let again = trigger.asks_all() || retries;
    if wants_mac_key || again {
        let wanted = node.reloader.wanted();
        let asked = node.reloader.ask_mac_key().and_then(|()| node.reloader.publish_again());
        match asked {
            Ok(published) => {
                changed |= published.changed;
                failed.extend(published.failed);
            }
            Err(error) => {
                if wants_mac_key {
                    loaded = false;
                    node.reloader.abandon(&wanted);
                }
                failed.push(error.to_string());
            }
        }
    }
    if changed {
        failed.extend(node.reloader.remember().err().map(|error| error.to_string()));
        node.reloader.forget_destroyed();
    }
    let asked = node.reloader.ask_sources(if again { Reload::All } else { Reload::Missing });
    changed |= asked.changed;
    failed.extend(asked.failed);
    if changed || again {
        let snapshot = node.snapshot();
        let deployment = node.reloader.deployment_of(snapshot.config.clone());
        let with_mac = again || wants_mac_key;
        let shared = deployment.shared_keys(&snapshot.document, with_mac).into_iter().map(|one| one.error.to_string());
        let untold: Vec<String> = shared.filter(|shared| !failed.contains(shared)).collect();
        failed.extend(untold);
    }
    match rotate(node, seen) {
        Ok(None) => {}
        Ok(Some(published)) => {
            changed = true;
            failed.extend(published);
        }
        Err(error) => failed.push(format!("automatic rotation: {error}")),
    }
    warn_of_budgets(node, seen);
    if changed || (loaded && again) {
        record(node, trigger);
    }
    LookOutcome { trigger, loaded, changed, failed }
}

/// Takes the next step of automatic rotation, if one is due, and loads the result. Returns errors.
fn rotate(node: &Node, seen: &ReloadMemory) -> Result<Option<Vec<String>>, DeploymentError> {
    let deployment = node.reloader.deployment_of(node.snapshot().config.clone());
    let (config, now) = (&deployment.config, clock::now());
    let step = {
        let mut seen = seen.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = (now, Instant::now());
        let document = &node.snapshot().document;
        rotation::next_step(document, &config.rotation, config.keyring.refresh_interval, moment, &mut seen)
    };
    let change = match step {
        None => return Ok(None),
        Some(Step::NoSourceLeft) => {
            tracing::warn!("the active version is due for rotation, but all of rotation.sources are in use: add one");
            return Ok(None);
        }
        Some(Step::Stage(uri)) => Change::Stage(Stage { sources: vec![uri], suite: config.rotation.suite }),
        // This process has seen it staged for an interval, by a monotonic clock: the time on record adds nothing.
        Some(Step::Activate(version)) => Change::Activate(version, Activate { force: true, ..Activate::default() }),
    };
    match change.apply(&deployment, &*node.store, &Actor::service(), now) {
        Ok(_) => {}
        // Processes that share a keyring may find the same step due: the second one finds it taken.
        Err(DeploymentError::Keyring(
            error @ (KeyringError::IllegalMove { .. } | KeyringError::SameMaster { .. } | KeyringError::Unknown(_)),
        )) => tracing::info!(%error, "another process rotated first"),
        Err(error) => return Err(error),
    }
    let mut failed = node.reloader.publish(None)?.failed;
    failed.extend(node.reloader.ask_sources(Reload::Missing).failed);
    Ok(Some(failed))
}

/// Says once of each realm and version that more than half of its seal budget is used.
pub(super) fn warn_of_budgets(node: &Node, seen: &ReloadMemory) {
    let Ok(counts) = node.store.seal_counts() else { return };
    let snapshot = node.snapshot();
    for SealCount { realm, version, count } in counts.counts {
        let suite = snapshot.document.versions().iter().find(|record| record.number.number() == version);
        let half = seal_warning(suite.map(|record| record.suite));
        let mut warned = seen.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if half.is_some_and(|half| count >= half) && warned.insert((realm.clone(), version)) {
            tracing::warn!(realm, version, count, "half of the seal budget is used: plan the next rotation");
        }
    }
}

/// Appends a reload to the audit. The reload counts even if that fails.
fn record(node: &Node, trigger: Trigger) {
    let serial = node.snapshot().document.serial();
    let detail = json!({"trigger": format!("{trigger:?}").to_lowercase(), "serial": serial});
    let record = Actor::service().record(clock::now(), "config.reload", None, detail);
    if let Err(error) = transact(&*node.store, |transaction| transaction.append_audit(&record)) {
        tracing::warn!(%error, "audit record of a reload is missing");
    }
}
