//! What an edge knows: the state of the feed, from the source that answered first, and the exports. All changes are put
//! in force here, one after another. `merge.rs` merges the answers of the sources into the state.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bulla::{
    feed::{
        Answer, FeedError, FeedPlace, FeedState, FollowError, LoadedSnapshot, LogId, Question, Reporter, StateWriter,
        VerifyingKey, backoff,
    },
    keyring::{ExportedKeyring, Exports, KeyringId},
    revocation::{Revocations, SweepClock},
};

use super::{STATE, merge::Merged, source_state::SourceState};
use crate::{
    clock,
    server::{failures::Failures, live::Live, snapshot::EdgeParts},
    telemetry::{follow_metrics::FollowMetrics, metrics::Metrics},
};

/// The longest wait that a source is asked for, in seconds. Proxies commonly answer 504 after 30.
const MAX_WAIT: u64 = 25;

/// How long the disk may take for the state before it counts as trouble.
const SLOW_DISK: Duration = Duration::from_secs(5);

/// A follower that diverged starts again at once. The next time it waits for this interval, which doubles each time, up
/// to an hour.
const RESTART_INTERVAL: Duration = Duration::from_secs(60);
pub(super) const LONGEST_RESTART_INTERVAL: Duration = Duration::from_secs(3_600);

/// The follower of an edge.
pub(crate) struct Follower {
    pub(super) live: Arc<Live>,
    pub(super) health: Arc<Failures>,
    pub(super) shown: FollowMetrics,
    pub(super) metrics: Arc<Metrics>,
    pub(super) writer: StateWriter,
    /// Is notified of what is on disk; set once where there is a node to report to.
    pub(super) reporter: OnceLock<Reporter>,
    /// The keyring that is followed, and what signs its feed.
    pub(super) trusted: (KeyringId, VerifyingKey),
    state: Mutex<State>,
}

/// What is known.
pub(super) struct State {
    pub(super) feed: FeedState,
    pub(super) parts: EdgeParts,
    pub(super) exports: Exports,
    pub(super) keyring: ExportedKeyring,
    pub(super) sources: Vec<SourceState>,
    /// How long the newest message is valid, in seconds.
    pub(super) valid_for: u64,
    /// When the newest message that reached the end of the log arrived, by a monotonic clock; none before the first.
    pub(super) heard: Option<Instant>,
    /// When that message was signed, in Unix seconds.
    pub(super) current: Option<u64>,
    /// Messages that were refused.
    pub(super) refused: u64,
    /// The source whose snapshot is fetched, as the log is long.
    pub(super) wants_snapshot: Option<usize>,
    /// The last thing loaded was a snapshot; the next message tells whether the log goes on.
    pub(super) loaded: bool,
    /// Earliest time of the next restart after a divergence, and the interval after that.
    pub(super) restart: (Option<Instant>, Duration),
    /// Logs that were left for another one.
    pub(super) left: Vec<LogId>,
    /// When a message of the log came last; none before the first.
    pub(super) advanced: Option<Instant>,
    /// The newest message, as it came, unless it is long.
    pub(super) newest: Option<Arc<[u8]>>,
    part: usize,
    sweep_clock: Option<SweepClock>,
}

impl Follower {
    pub(super) fn new(
        (live, health): (Arc<Live>, Arc<Failures>),
        (metrics, shown): (Arc<Metrics>, FollowMetrics),
        trusted: (KeyringId, VerifyingKey),
        (feed, parts, exports): (FeedState, EdgeParts, Exports),
        sources: Vec<SourceState>,
    ) -> Self {
        let state = State {
            keyring: exports.keyring(trusted.0),
            current: feed.log_id().map(|_| feed.this_update()),
            feed,
            parts,
            exports,
            sources,
            valid_for: 0,
            heard: None,
            refused: 0,
            wants_snapshot: None,
            loaded: false,
            restart: (None, RESTART_INTERVAL),
            left: Vec::new(),
            advanced: None,
            newest: None,
            part: 0,
            sweep_clock: None,
        };
        let writer = StateWriter::going_on_from(state.feed.place());
        let (reporter, state) = (OnceLock::new(), Mutex::new(state));
        Follower { live, health, shown, metrics, writer, reporter, trusted, state }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a message has reached the end of the log since the edge began, or no source can bring one.
    pub(super) fn has_heard_or_failed(&self) -> bool {
        let state = self.lock();
        state.heard.is_some() || state.sources.iter().all(|source| !source.is_well() || source.behind)
    }

    /// What to ask a source next.
    pub(super) fn question(&self, source: usize) -> Question {
        let mut state = self.lock();
        let asked = &state.sources[source];
        let rests = state.is_complete() && asked.is_well() && !asked.behind && !state.loaded;
        // Half the validity of the newest message, so that the next one arrives in time. After a failure the state may
        // be stale, and an answer is worth more than news.
        let wait = if rests { state.sources[source].wait(MAX_WAIT.min(state.valid_for / 2)) } else { 0 };
        let question = Question { after: state.feed.seq(), log_id: state.feed.log_id(), wait };
        state.sources[source].asked(wait);
        question
    }

    /// Takes a source's answer to a question that began at `after`. Returns how long to wait before the next question;
    /// `random` is the jitter.
    pub(super) fn take(&self, source: usize, answer: Result<Answer, FollowError>, random: u32) -> Duration {
        let now = clock::now_seconds();
        let merged = answer.and_then(|answer| self.apply(source, answer, now));
        let mut state = self.lock();
        let pause = match merged {
            Ok(Merged::News) => {
                state.sources[source].answered();
                Duration::ZERO
            }
            Ok(Merged::Nothing) => {
                let has_waited = state.sources[source].answered();
                if has_waited { Duration::ZERO } else { backoff::without_news(random) }
            }
            // One node may lag behind the others, which is no failure: it answers. Once the log is abandoned, no source
            // is ahead of this one.
            Err(error) if error.is_behind() => {
                if state.is_abandoned(now) {
                    state.restart();
                    self.writer.whole();
                }
                let was_behind = state.sources[source].behind;
                state.sources[source].answered();
                state.sources[source].behind = true;
                // The report proves the place.
                if let Some(reporter) = self.reporter.get().filter(|_| !was_behind) {
                    reporter.changed();
                }
                backoff::if_behind(random)
            }
            Err(error) => {
                if let FollowError::Refused(refused) = &error {
                    self.shown.refused(refused.code(), 1);
                    state.refused += 1;
                }
                backoff::after_failures(state.sources[source].failed(error), random)
            }
        };
        self.show(&state, now);
        pause
    }

    /// Returns once whether to ask this source for a snapshot.
    pub(super) fn wants_snapshot(&self, source: usize) -> bool {
        self.lock().wants_snapshot.take_if(|wanted| *wanted == source).is_some()
    }

    /// Takes a snapshot in the place of the log's beginning. Without one the log is read on.
    pub(super) fn load(&self, source: usize, snapshot: Result<LoadedSnapshot, FollowError>) {
        let (now, mut state) = (clock::now_seconds(), self.lock());
        match snapshot.and_then(|loaded| Ok(state.feed.load(loaded, now)?)) {
            Ok(()) => {
                state.loaded = true;
                self.put_loaded(&state);
                self.put_revocations(&state);
                self.writer.whole();
            }
            // The source has none, or another one was quicker.
            Err(FollowError::Status(404) | FollowError::Refused(FeedError::NotNext { .. })) => {}
            Err(error) => {
                if let FollowError::Refused(refused) = &error {
                    self.shown.refused(refused.code(), 1);
                    state.refused += 1;
                }
                state.sources[source].failed(error);
            }
        }
        self.show(&state, now);
    }

    /// Puts what was kept on disk in force.
    pub(super) fn begin(&self) {
        let (now, state) = (clock::now_seconds(), self.lock());
        self.put_loaded(&state);
        self.put_revocations(&state);
        self.judge(&state, now);
        self.show(&state, now);
    }

    /// Revokes what is due, and judges how old the state is.
    pub(super) fn tick(&self) {
        let (now, mut state) = (clock::now_seconds(), self.lock());
        if state.feed.due(now) {
            self.put_revocations(&state);
        }
        self.judge(&state, now);
        self.show(&state, now);
        drop(state);
        // A disk that hangs says nothing itself.
        if self.writer.writing_for().is_some_and(|slow| slow > SLOW_DISK) && self.health.since(STATE).is_none() {
            self.note_written(Err(format!(
                "writing the state to the disk has taken more than {SLOW_DISK:?} so far: keys are verified, but after a restart \
                 without a source later revocations are unknown"
            )));
        }
    }

    /// Sweeps one part of the list; `ran` is the running time since the last call. Neither this machine's clock nor the
    /// server's alone makes it forget anything: the earlier of both counts, and it is never ahead of the running time
    /// for long.
    pub(super) fn sweep(&self, ran: Duration) {
        let (now, mut state) = (clock::now_seconds(), self.lock());
        let signed_at = state.feed.this_update();
        if signed_at == 0 {
            return;
        }
        let now = now.min(signed_at);
        let clock = state.sweep_clock.get_or_insert(SweepClock::new(now));
        clock.advance(ran, now);
        let (at, part) = (clock.sweep_at(), state.part);
        state.feed.sweep_part(part, at);
        state.part = (part + 1) % Revocations::PARTS;
        self.put_revocations(&state);
    }

    /// Puts another configuration, and exports that were read anew, in force.
    pub(super) fn put(&self, parts: EdgeParts, exports: Exports) {
        let (keyring, now, mut state) = (exports.keyring(self.trusted.0), clock::now_seconds(), self.lock());
        (state.parts, state.exports, state.keyring) = (parts, exports, keyring);
        self.put_loaded(&state);
        self.judge(&state, now);
        self.show(&state, now);
    }

    /// Configuration, certificates and assertions as they are, and the exports.
    pub(super) fn parts(&self) -> (EdgeParts, Exports) {
        let state = self.lock();
        (state.parts.clone(), state.exports.clone())
    }

    /// The state for the disk.
    pub(super) fn known(&self) -> FeedState {
        self.lock().feed.clone()
    }

    /// Notes whether the state is on disk, and has the fleet hear of it.
    pub(super) fn note_written(&self, written: Result<(), String>) {
        self.health.note_task(STATE, written);
        if let Some(reporter) = self.reporter.get() {
            reporter.changed();
        }
    }
}

impl State {
    /// The place that the fleet hears of. What is in force here and not on disk would be forgotten by a restart without
    /// any source, and so a revocation is not said to be in force before both hold.
    pub(super) fn settled(&self, on_disk: FeedPlace) -> FeedPlace {
        let known = self.feed.place();
        let seq = if known.log_id == on_disk.log_id { known.seq.min(on_disk.seq) } else { 0 };
        FeedPlace { log_id: known.log_id, seq, keyring_serial: known.keyring_serial.min(on_disk.keyring_serial) }
    }

    /// What proves to a node that its log was longer, where one ends before this edge's place.
    pub(super) fn proof(&self) -> Option<String> {
        let newest = self.newest.as_ref().filter(|_| self.sources.iter().any(|source| source.behind))?;
        str::from_utf8(newest).ok().map(str::to_owned)
    }

    /// A follower that begins anew does not know yet where the end is.
    fn is_complete(&self) -> bool {
        self.feed.log_id().is_some() && self.feed.log().at_end()
    }
}

#[cfg(test)]
mod tests {
    use bulla::feed::{Format, Head, Message, SigningKey};
    use zeroize::Zeroizing;

    use super::*;
    use crate::{cli::throw_away, deployment::Deployment, server::snapshot::Loaded};

    const ID: KeyringId = KeyringId::from_bytes([1; 16]);

    /// A follower of two sources.
    fn follower(key: &SigningKey) -> Follower {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened").config;
        let (metrics, shown) = Metrics::new().with_follow();
        let (parts, metrics) = (EdgeParts::load(config).expect("loaded"), Arc::new(metrics));
        let (feed, exports) = (FeedState::new(None), Exports::default());
        let live = Arc::new(Live::new(Loaded::of_edge(&parts, &exports.keyring(ID), &feed, &metrics)));
        Follower::new(
            (live, Arc::default()),
            (metrics, shown),
            (ID, key.verifying_key()),
            (feed, parts, exports),
            ["one", "two"].map(SourceState::new).into(),
        )
    }

    /// A message at the end of a log, where nothing is revoked.
    fn message(key: &SigningKey) -> Result<Answer, FollowError> {
        next(key, LogId::from_bytes([2; 16]), 0, 0)
    }

    /// The message that goes on from a place of a log, by one number at most.
    fn next(key: &SigningKey, log_id: LogId, after: u64, end: u64) -> Result<Answer, FollowError> {
        if after > end {
            return Err(FollowError::BEHIND);
        }
        let now = clock::now_seconds();
        let head = Head {
            format: Format::V1,
            keyring_id: ID,
            log_id,
            realm: None,
            after,
            seq: end.min(after + 1),
            head: end,
            this_update: now,
            next_update: now + 3_600,
            keyring_serial: 1,
            versions: Vec::new(),
            live: None,
        };
        Ok(Answer::Next(Message::write(&head, &[], key)?))
    }

    #[test]
    fn a_source_that_is_behind_the_others_does_not_fail() {
        let key = SigningKey::from_seed(&Zeroizing::new([7; 32]));
        let follower = follower(&key);
        let failing = || follower.health.detail("follow source");
        follower.take(0, message(&key), 0);
        assert_eq!(failing(), None);
        assert_eq!(follower.lock().proof(), None, "nobody lacks anything");
        for _ in 0..3 {
            assert!(follower.take(1, Err(FollowError::BEHIND), 0) < Duration::from_secs(1), "it is asked again soon");
            assert_eq!(failing(), None);
            assert!(follower.lock().proof().is_some_and(|signed| signed.ends_with("\"}\n")), "it shows what it read");
            assert_eq!(follower.question(1).wait, 0, "it is not asked to wait for news");
        }
        assert!(follower.question(0).wait > 0);
        follower.take(1, Err(FollowError::Status(503)), 0);
        assert!(failing().is_some_and(|detail| detail.contains("two")));
        follower.take(1, Err(FollowError::BEHIND), 0);
        assert_eq!(failing(), None, "it answers again");
    }
    #[test]
    fn two_sources_at_two_logs_make_it_begin_anew_at_most_once() {
        let key = SigningKey::from_seed(&Zeroizing::new([7; 32]));
        let logs = [2, 3].map(|byte| LogId::from_bytes([byte; 16]));
        // It is at the end after one message, or reads its way there, or the other source is behind it.
        for ends in [[1, 1], [3, 3], [1, 3], [3, 1], [3, 0]] {
            let (follower, mut followed) = (follower(&key), Vec::new());
            for turn in 0..16 {
                let source = turn % 2;
                let after = follower.question(source).after;
                follower.take(source, next(&key, logs[source], after, ends[source]), 0);
                followed.extend(follower.known().log_id());
            }
            followed.dedup();
            assert!(followed == logs || followed == [logs[0]], "ends {ends:?}: {followed:?}");
            let known = follower.known();
            assert!(known.log().at_end() && known.seq() > 0, "ends {ends:?}: it is at {}", known.seq());
        }
    }
}
