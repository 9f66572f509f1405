//! Polls the store: what other processes revoked, and whether the store is still the one that was opened. None of that
//! may wait for anything else, so it has a thread of its own. It looks five times a second, or where the database sends
//! notifications, at each of them and once a second, and more often where `verify.max_staleness` is short.

use std::time::Duration;

use tokio::sync::watch;

use super::{Node, revocations::HEALTH};
use crate::clock;

/// The time between two looks at a store that does not say when there is something. A change of another process is in
/// force after one look.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// What `/readyz` calls it if the store should say when there is something, and does not.
const NOTIFICATIONS: &str = "notifications";

/// Runs until `stop`.
pub(super) fn run(node: &Node, stop: &watch::Receiver<bool>) {
    while !*stop.borrow() {
        poll(node);
        while !node.store.wait_for_news(POLL_INTERVAL) && !node.revocations.is_due() && !*stop.borrow() {
            check_notifications(node);
            // No notification tells of a changed secret half. A failure shows in the next look.
            let _shown_soon = node.follow_secrets();
        }
    }
}

fn poll(node: &Node) {
    check_files(node);
    node.health.note_task(HEALTH, node.catch_up());
    node.health.note_task("revocation rows", check_damage(node));
    check_notifications(node);
}

/// The log is polled meanwhile, which takes longer, and costs the database more.
fn check_notifications(node: &Node) {
    let why = node.store.why_polling();
    node.metrics.store_polled(why.is_some());
    if node.health.note(NOTIFICATIONS, why.clone(), clock::now()) {
        match why {
            Some(why) => tracing::warn!(why, "no notifications of the database, polling the revocation log"),
            None => tracing::info!("notifications of the database arrive"),
        }
    }
}

/// Says once that the store was exchanged, and shows it for as long as that lasts.
fn check_files(node: &Node) {
    let error = node.store.check_files().err().map(|error| error.to_string());
    if node.health.note("store", error.clone(), clock::now()) {
        match error {
            Some(error) => tracing::error!(error, "store was exchanged, refusing changes"),
            None => tracing::warn!("store is the opened one again, allowing changes"),
        }
    }
}

/// Rows that cannot be read hold nothing else up.
fn check_damage(node: &Node) -> Result<(), String> {
    let (rows, damage) = node.revocations.check_damage().map_err(|error| error.to_string())?;
    node.metrics.damaged_rows("revocations", rows);
    damage.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use bulla::{ApiKeyId, revocation::Change};

    use crate::{
        cli::throw_away,
        clock,
        config::Span,
        deployment::Deployment,
        last_used::Use,
        server::housekeeping,
        store::{NewRevocation, transact},
    };

    use super::*;

    /// So many that writing them takes longer than anything else here.
    const USES: usize = 400_000;

    #[test]
    fn what_another_process_revokes_is_in_force_while_uses_are_still_being_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = throw_away(folder.path()).expect("made");
        let mut deployment = Deployment::open(&config).expect("opened");
        deployment.config.last_used.flush_interval = Span(Duration::from_millis(1));
        let elsewhere = deployment.store().expect("opened");
        let node = Node::load(deployment, false).expect("loaded");
        let id = |number: usize| -> ApiKeyId { format!("live_00000X{number:016}").parse().expect("an id") };
        node.verification
            .last_used
            .put_back((0..USES).map(|number| Use { id: id(number), last_used: 1, count: 1 }).collect());
        let (stop, stopped) = watch::channel(false);
        std::thread::scope(|scope| {
            scope.spawn(|| housekeeping::run(&node, &stopped));
            scope.spawn(|| run(&node, &stopped));
            // The first are on their way once the next flush has nothing to take.
            while node.verification.last_used.waiting() > 0 {
                std::thread::yield_now();
            }
            let now = clock::now();
            let revocation = NewRevocation {
                change: Change::Revoke { id: id(7), expires_at: None },
                effective_at: None,
                reason: None,
                recorded_at: now,
                recorded_by: "another process".to_owned(),
            };
            transact(&*elsewhere, |transaction| transaction.append_revocation(&revocation)).expect("revoked");
            while !node.snapshot().verifier().revocations().contains(&id(7), uuid::Uuid::nil(), u32::MAX) {
                std::thread::yield_now();
            }
            stop.send_replace(true);
        });
        assert!(
            node.verification.last_used.waiting() > 0,
            "the uses were still being written, and what is left is not lost"
        );
    }
}
