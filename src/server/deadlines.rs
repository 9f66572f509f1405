//! What time alone changes: grace periods end, and the revocation log becomes stale. And what a follower proved: the
//! log has lost its end. A store that hangs must not put that off, so it has a thread of its own, which never reads the
//! store.

use std::{thread, time::Duration};

use tokio::sync::watch;

use super::{Node, revocations::HEALTH};
use crate::clock;

/// The longest that a grace period goes on beyond its end.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long the log may take to be read before that is shown.
const HANGS: Duration = Duration::from_secs(5);

/// Runs until `stop`.
pub(super) fn run(node: &Node, stop: &watch::Receiver<bool>) {
    let mut hangs = false;
    while !*stop.borrow() {
        hangs = poll(node, hangs);
        thread::sleep(POLL_INTERVAL);
    }
}

/// Returns whether the reading of the log hangs, where it was known before or not.
fn poll(node: &Node, known: bool) -> bool {
    node.revocations.end_grace_periods();
    let unread = node.revocations.unread_for();
    // Where the reading fails instead, the thread that reads says why.
    let hangs = unread > HANGS && (known || node.health.since(HEALTH).is_none());
    if hangs {
        let detail = format!("reading the revocation log has taken {} s so far", unread.as_secs());
        node.health.note(HEALTH, Some(detail), clock::now());
    }
    let (log_id, _) = node.revocations.place();
    node.revocations.check_staleness(&node.health, node.fleet.behind.lost_the_end_of(log_id.as_deref()));
    hangs
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use bulla::{ApiKeyId, revocation::Change};
    use jiff::SignedDuration;
    use uuid::Uuid;

    use crate::{
        cli::throw_away,
        clock::KeyTime,
        deployment::Deployment,
        server::simulation::faults::{Faults, FaultyStore},
        store::{NewRevocation, transact},
    };

    use super::*;

    /// A deadline, not an expectation.
    const TIMEOUT: Duration = Duration::from_secs(90);

    #[test]
    fn a_grace_period_ends_while_the_store_hangs() {
        let folder = tempfile::tempdir().expect("a folder");
        let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
        let (real, faults) = (deployment.store().expect("opened"), Arc::new(Faults::default()));
        let store = FaultyStore { real: Arc::clone(&real), faults: Arc::clone(&faults) };
        let node = Arc::new(Node::load_with(deployment, Arc::new(store), false).expect("loaded"));
        let id: ApiKeyId = "live_00000X0000000000000007".parse().expect("an id");
        let now = clock::now();
        let revocation = NewRevocation {
            change: Change::Revoke { id, expires_at: None },
            effective_at: Some(KeyTime::up(now + SignedDuration::from_secs(8)).expect("a time")),
            reason: None,
            recorded_at: now,
            recorded_by: "an administrator".to_owned(),
        };
        transact(&*real, |transaction| transaction.append_revocation(&revocation)).expect("revoked");
        node.catch_up().expect("read");
        let is_revoked =
            move |node: &Node| node.snapshot().verifier().revocations().contains(&id, Uuid::nil(), u32::MAX);
        assert!(!is_revoked(&node), "not yet");

        let (release, hang) = mpsc::channel::<()>();
        let (entered, waiting) = mpsc::channel();
        // Behind the first call, which is about secret halves.
        faults.intrude(
            1,
            Box::new(move || {
                entered.send(()).expect("heard");
                let _released = hang.recv();
            }),
        );
        let reader = Arc::clone(&node);
        let reading = thread::spawn(move || reader.catch_up());
        waiting.recv_timeout(TIMEOUT).expect("the store hangs while the log is read");
        let (tell, told) = mpsc::channel();
        let poller = Arc::clone(&node);
        thread::spawn(move || {
            while !is_revoked(&poller) {
                poll(&poller, false);
                thread::sleep(Duration::from_millis(10));
            }
            tell.send(()).expect("heard");
        });
        told.recv_timeout(TIMEOUT).expect("the end of the grace period");
        assert!(!reading.is_finished(), "the store still hangs");
        drop(release);
        reading.join().expect("ended").expect("read");
    }
}
