//! What an edge hears from a node of changed secret halves: what it remembers of these no longer counts. It follows them
//! as a node does, which reads them from the store.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    thread,
    time::{Duration, Instant},
};

use bulla::{
    ApiKeyId,
    feed::{FollowError, LogId, SecretChanges, SecretProof, backoff},
};
use rand::{TryRng, rngs::SysRng};

use super::asking::Sources;
use crate::{
    clock,
    server::{
        failures::Failures,
        secrets::{
            cache::{End, Proof},
            changes::Changes,
        },
    },
    store,
};

/// The wait that a node is asked for, in seconds.
const WAIT: u64 = 10;
/// An edge that has heard nothing for so long uses nothing that it remembers: it may have missed a change.
const LONGEST_SILENCE: Duration = Duration::from_secs(20);
/// The pause between an answer and the next question: where many keys are issued, one answer has the changes of it all.
const PAUSE: Duration = Duration::from_millis(100);
/// With more changes than this the edge forgets everything that it remembers, and they are forgotten, too.
const MAX_CHANGES: usize = 100_000;

/// What [`Failures`] calls the hearing.
const HEALTH: &str = "secret halves";

/// What was heard.
pub(in crate::server) struct HeardChanges {
    /// How long a proof is remembered.
    remembered: Duration,
    heard: Mutex<Heard>,
}

struct Heard {
    changes: Changes,
    /// The log of the store whose changes these are; none before the first answer.
    log_id: Option<LogId>,
    at: Instant,
    /// Grows where changes may have been missed: no proof of an earlier era counts.
    era: u64,
}

/// What becomes of a node's answer that a secret half is right.
#[derive(Debug)]
pub(super) enum Told {
    /// It may be remembered.
    Lasting(Proof),
    /// It counts for this one request.
    Once,
    /// The secret half was changed since: the node that answered has not heard of that.
    Outdated,
}

impl HeardChanges {
    pub(in crate::server) fn new(remembered: Duration) -> Self {
        let heard = Heard { changes: Changes::at(0), log_id: None, at: Instant::now(), era: 0 };
        HeardChanges { remembered, heard: Mutex::new(heard) }
    }

    /// The era that proofs are remembered in now; none while the edge does not hear of changes.
    pub(super) fn era(&self) -> Option<u64> {
        let heard = self.lock();
        heard.hears().then_some(heard.era)
    }

    /// Returns whether a proof of the current era still holds.
    pub(super) fn still_holds(&self, id: &ApiKeyId, proof: &Proof) -> bool {
        let ended = proof.end.is_some_and(|end| end.has_come(clock::now_seconds()));
        !ended && !self.lock().changes.is_newer(id, proof.as_of)
    }

    /// What becomes of an answer to a question that was asked in this era.
    pub(super) fn told(&self, era: Option<u64>, id: &ApiKeyId, proof: Option<&SecretProof>) -> Told {
        let (heard, Some(proof)) = (self.lock(), proof) else { return Told::Once };
        if Some(proof.log_id) != heard.log_id {
            return Told::Once;
        }
        if heard.changes.is_newer(id, proof.seq) {
            return Told::Outdated;
        }
        // A node that is far behind, or a question that was asked when another era was.
        if !heard.changes.knows_all_behind(proof.seq) || era != Some(heard.era) {
            return Told::Once;
        }
        let now = clock::now_seconds();
        // By this machine's clock, which may differ from the node's.
        let end = proof.ends_in.map(|left| End::new(now.saturating_add(left), now));
        Told::Lasting(Proof { as_of: proof.seq, end })
    }

    /// The place to ask from; none where the changes have to be followed anew.
    fn place(&self) -> Option<u64> {
        let heard = self.lock();
        heard.hears().then(|| heard.changes.seen())
    }

    /// Takes the answer to a question from `after`.
    fn take(&self, after: Option<u64>, answer: SecretChanges) {
        let mut heard = self.lock();
        let goes_on = heard.log_id == Some(answer.log_id) && heard.changes.count() <= MAX_CHANGES;
        match (after, answer.changed) {
            (Some(after), Some(changed)) if goes_on && answer.seq >= after => {
                let changes = store::SecretChanges { changed, end: answer.seq };
                heard.changes.note(after, changes, self.remembered);
            }
            _ => {
                heard.era += 1;
                heard.changes = Changes::at(answer.seq);
            }
        }
        (heard.log_id, heard.at) = (Some(answer.log_id), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn hears(&self) -> bool {
        self.log_id.is_some() && self.at.elapsed() < LONGEST_SILENCE
    }
}

/// Listens until the sender is gone. The process does not wait for a running question. Without a node among the sources
/// there is nobody to listen to.
pub(super) fn start(
    heard: &Arc<HeardChanges>,
    sources: &Sources,
    health: &Arc<Failures>,
) -> std::io::Result<Option<mpsc::Sender<()>>> {
    if sources.iter().all(|source| source.load().node.is_none()) {
        return Ok(None);
    }
    let (stop, stopped) = mpsc::channel();
    let (heard, sources, health) = (Arc::downgrade(heard), Arc::clone(sources), Arc::clone(health));
    let listen = move || listen(&heard, &sources, &health, &stopped);
    thread::Builder::new().name(HEALTH.to_owned()).spawn(listen).map(|_| Some(stop))
}

/// Asks one node for as long as it answers, and then the next one: all of them have one store.
fn listen(heard: &Weak<HeardChanges>, sources: &Sources, health: &Failures, stopped: &mpsc::Receiver<()>) {
    let (mut source, mut failures) = (0, 0_u32);
    loop {
        let Some(after) = heard.upgrade().map(|heard| heard.place()) else { return };
        let node = sources[source].load().node.clone();
        // After a failure an answer is worth more than news.
        let wait = if failures == 0 { WAIT } else { 0 };
        let pause = match node.map(|node| node.secret_changes(after, wait)) {
            Some(Ok(answer)) => {
                let Some(()) = heard.upgrade().map(|heard| heard.take(after, answer)) else { return };
                failures = 0;
                health.note_task(HEALTH, Ok::<_, FollowError>(()));
                PAUSE
            }
            Some(Err(error)) => {
                (source, failures) = ((source + 1) % sources.len(), failures.saturating_add(1));
                let nodes = sources.iter().filter(|source| source.load().node.is_some()).count();
                // How often all of them have failed.
                match u32::try_from(nodes).map_or(failures, |nodes| failures / nodes.max(1)) {
                    0 => PAUSE,
                    rounds => {
                        health.note_task(HEALTH, Err(error));
                        backoff::after_failures(rounds, SysRng.try_next_u32().unwrap_or(u32::MAX / 2))
                    }
                }
            }
            // Published files say nothing of secret halves.
            None => {
                source = (source + 1) % sources.len();
                PAUSE
            }
        };
        match stopped.recv_timeout(pause) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn log(byte: u8) -> LogId {
        LogId::from_bytes([byte; 16])
    }

    fn id(number: u64) -> ApiKeyId {
        format!("live_00000X{number:016}").parse().expect("an id")
    }

    fn answer(log_id: LogId, seq: u64, changed: Option<&[(u64, u64)]>) -> SecretChanges {
        let changed = changed.map(|all| all.iter().map(|(seq, number)| (*seq, id(*number))).collect());
        SecretChanges { log_id, seq, changed }
    }

    fn proof(log_id: LogId, seq: u64) -> SecretProof {
        SecretProof { log_id, seq, ends_in: None }
    }

    /// One that stands at 5 of the first log.
    fn hearing() -> HeardChanges {
        let heard = HeardChanges::new(LONG);
        assert_eq!((heard.era(), heard.place()), (None, None), "nothing was heard yet");
        heard.take(None, answer(log(1), 5, None));
        assert_eq!((heard.era(), heard.place()), (Some(1), Some(5)));
        heard
    }

    fn lasting(heard: &HeardChanges, number: u64, proof: &SecretProof) -> Proof {
        match heard.told(heard.era(), &id(number), Some(proof)) {
            Told::Lasting(proof) => proof,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_ends_what_was_remembered_of_its_key_and_of_no_other() {
        let heard = hearing();
        let (one, two) = (lasting(&heard, 1, &proof(log(1), 5)), lasting(&heard, 2, &proof(log(1), 5)));
        heard.take(Some(5), answer(log(1), 7, Some(&[(6, 1)])));
        assert_eq!((heard.era(), heard.place()), (Some(1), Some(7)));
        assert_eq!((heard.still_holds(&id(1), &one), heard.still_holds(&id(2), &two)), (false, true));
        // The new one is remembered; a node that has not heard of the change is not believed.
        assert!(heard.still_holds(&id(1), &lasting(&heard, 1, &proof(log(1), 6))));
        assert!(matches!(heard.told(heard.era(), &id(1), Some(&proof(log(1), 5))), Told::Outdated));
    }

    #[test]
    fn what_cannot_be_followed_is_believed_once() {
        let heard = HeardChanges::new(LONG);
        let told = |heard: &HeardChanges, era, proof: Option<&SecretProof>| heard.told(era, &id(1), proof);
        assert!(matches!(told(&heard, heard.era(), Some(&proof(log(1), 5))), Told::Once), "nothing was heard");
        let heard = hearing();
        assert!(matches!(told(&heard, heard.era(), None), Told::Once), "an older node");
        assert!(matches!(told(&heard, heard.era(), Some(&proof(log(2), 5))), Told::Once), "another store");
        assert!(matches!(told(&heard, heard.era(), Some(&proof(log(1), 4))), Told::Once), "a node that was behind");
        assert!(matches!(told(&heard, Some(0), Some(&proof(log(1), 5))), Told::Once), "asked in an earlier era");
        assert!(matches!(told(&heard, None, Some(&proof(log(1), 5))), Told::Once), "asked while nothing was heard");
    }

    #[test]
    fn where_changes_may_have_been_missed_a_new_era_begins() {
        for (after, missed) in [
            (Some(5), answer(log(1), 9, None)),
            (Some(5), answer(log(2), 9, Some(&[]))),
            (Some(5), answer(log(1), 4, Some(&[]))),
            (None, answer(log(1), 5, None)),
        ] {
            let heard = hearing();
            let place = missed.seq;
            heard.take(after, missed);
            assert_eq!((heard.era(), heard.place()), (Some(2), Some(place)));
        }
        let heard = hearing();
        heard.take(Some(5), answer(log(1), 5, Some(&[])));
        assert_eq!((heard.era(), heard.place()), (Some(1), Some(5)), "nothing was missed");
    }

    #[test]
    fn an_edge_that_hears_nothing_uses_nothing_that_it_remembers() {
        let heard = hearing();
        let silent = Instant::now().checked_sub(LONGEST_SILENCE).expect("the machine runs for longer");
        heard.lock().at = silent;
        assert_eq!((heard.era(), heard.place()), (None, None));
        // It went on to wait, and the answer has every change since.
        heard.take(Some(5), answer(log(1), 6, Some(&[(6, 1)])));
        assert_eq!((heard.era(), heard.place()), (Some(1), Some(6)));
        heard.lock().at = silent;
        heard.take(None, answer(log(1), 6, None));
        assert_eq!((heard.era(), heard.place()), (Some(2), Some(6)));
    }

    #[test]
    fn a_grace_period_ends_by_the_edge_s_own_clock() {
        let heard = hearing();
        let with = |ends_in| lasting(&heard, 1, &SecretProof { ends_in: Some(ends_in), ..proof(log(1), 5) });
        assert!(heard.still_holds(&id(1), &with(3_600)) && heard.still_holds(&id(1), &with(u64::MAX)));
        assert!(!heard.still_holds(&id(1), &with(0)));
    }

    #[test]
    fn a_flood_of_changes_is_forgotten_with_all_that_is_remembered() {
        let heard = hearing();
        let many: Vec<(u64, u64)> = (6..=MAX_CHANGES as u64 + 6).map(|seq| (seq, seq)).collect();
        let end = MAX_CHANGES as u64 + 6;
        heard.take(Some(5), answer(log(1), end, Some(&many)));
        assert_eq!((heard.era(), heard.lock().changes.count()), (Some(1), MAX_CHANGES + 1));
        heard.take(Some(end), answer(log(1), end + 1, Some(&[(end + 1, 1)])));
        assert_eq!((heard.era(), heard.lock().changes.count()), (Some(2), 0));
    }
}
