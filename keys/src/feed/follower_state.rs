//! The follower's state: what follows from answers and from time that passes, without threads, sockets or clock.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Answer, FeedError, FeedState, FollowError, FollowStatus, LoadedSnapshot, VerifyingKey, WhenStale, backoff,
    fetch::Question,
};
use crate::{
    clock_difference::CLOCK_DIFFERENCE,
    keyring_id::KeyringId,
    realm::Realm,
    revocation::{Revocations, SweepClock},
    shared::{Fresh, SharedVerifier},
};

/// The longest wait that the server is asked for, in seconds. Proxies commonly answer 504 after 30.
const MAX_WAIT: u64 = 25;

/// Another node's log ends before the follower's place.
const BEHIND: u16 = 409;

/// A proxy had no answer for too long.
const GATEWAY_TIMEOUT: u16 = 504;

/// A follower that diverged starts again at once. The next time it waits for this interval, which doubles each time, up
/// to an hour.
const RESTART_INTERVAL: Duration = Duration::from_secs(60);
const LONGEST_RESTART_INTERVAL: Duration = Duration::from_secs(3600);

/// No time at all: the state is not fresh before the end of the log was reached.
const NEVER: RangeInclusive<u64> = RangeInclusive::new(1, 0);

/// A moment: what the clock shows, in Unix seconds, and for how long the follower has run, by a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: u64,
    pub(crate) ran: Duration,
}

impl Moment {
    /// The one at which the follower begins.
    pub(crate) fn first(now: u64) -> Self {
        Moment { now, ran: Duration::ZERO }
    }
}

/// What the verifier does while the state is old.
#[derive(Clone, Debug)]
pub(crate) enum StalePolicy {
    Of(WhenStale),
    /// For how many seconds after the newest message keys of these realms are accepted. Keys of any other realm are
    /// not.
    #[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "gateways have it"))]
    Realms(Arc<[(Realm, u64)]>),
}

impl From<WhenStale> for StalePolicy {
    fn from(when_stale: WhenStale) -> Self {
        StalePolicy::Of(when_stale)
    }
}

pub(crate) struct FollowerState {
    pub(super) keyring_id: KeyringId,
    pub(super) key: VerifyingKey,
    pub(super) verifier: SharedVerifier,
    policy: StalePolicy,
    feed: FeedState,
    /// When the newest message was signed that reached the end of the log, in Unix seconds, and when it came, by the
    /// running time; that of a restored state came before.
    current: Option<(u64, Option<Duration>)>,
    /// Messages that were refused.
    refused: u64,
    /// Failed questions in a row.
    failures: u32,
    error: Option<FollowError>,
    /// How long the newest message is valid, in seconds.
    valid_for: u64,
    /// Until when the state is fresh, by the running time.
    fresh_until: Option<Duration>,
    /// The last second of what the verifier was told is fresh.
    shown_until: u64,
    /// The longest wait to ask for, in seconds.
    longest_wait: u64,
    /// How often the server knew something else.
    diverged: u64,
    /// When it may start again after it diverged, by the running time, and how long it waits the next time.
    restart: (Duration, Duration),
    /// The part of the list that is swept next.
    part: usize,
    /// From the first message on.
    sweep_clock: Option<SweepClock>,
    /// Whether the log is so long that a snapshot is fetched in its place.
    wants_snapshot: bool,
    /// Whether what came last is a snapshot: another message says whether there is more.
    loaded: bool,
    /// The last question, and when it is asked.
    asked: Option<(Question, Duration)>,
    started_at: u64,
    /// Keeps the state on disk.
    #[cfg(feature = "gateway")]
    keeper: Option<Arc<super::StateWriter>>,
}

impl FollowerState {
    pub(crate) fn new(
        feed: FeedState,
        (keyring_id, key): (KeyringId, VerifyingKey),
        (verifier, policy): (SharedVerifier, impl Into<StalePolicy>),
        at: Moment,
    ) -> Self {
        let mut follower = FollowerState {
            keyring_id,
            key,
            verifier,
            policy: policy.into(),
            current: feed.log_id().map(|_| (feed.this_update(), None)),
            feed,
            refused: 0,
            failures: 0,
            error: None,
            valid_for: 0,
            fresh_until: None,
            shown_until: 0,
            longest_wait: MAX_WAIT,
            diverged: 0,
            restart: (Duration::ZERO, RESTART_INTERVAL),
            part: 0,
            sweep_clock: None,
            wants_snapshot: false,
            loaded: false,
            asked: None,
            started_at: at.now,
            #[cfg(feature = "gateway")]
            keeper: None,
        };
        follower.publish(at);
        follower
    }

    /// For the threads that share it.
    pub(crate) fn shared(self) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(self))
    }

    /// What to ask after this pause.
    pub(crate) fn question(&mut self, at: Moment, pause: Duration) -> Question {
        // Half the validity of the newest message, so that the next one comes in time. After a failure the state may be
        // stale, and an answer is worth more than news.
        let at_rest = self.is_complete() && self.failures == 0 && !self.loaded;
        let wait = if at_rest { self.longest_wait.min(self.valid_for / 2) } else { 0 };
        let question = Question { after: self.feed.seq(), log_id: self.feed.log_id(), wait };
        self.asked = Some((question, at.ran + pause));
        question
    }

    /// Applies an answer. Returns how long to wait before the next question; `random` is the jitter.
    pub(crate) fn take(&mut self, answer: Result<Answer, FollowError>, at: Moment, random: u32) -> Duration {
        let took = answer.and_then(|answer| self.apply(&answer, at));
        let pause = match took {
            Ok(news) => {
                (self.failures, self.error) = (0, None);
                // A server that answers at once is asked again after a delay.
                if news || self.has_waited(at) { Duration::ZERO } else { backoff::without_news(random) }
            }
            // One node may lag behind the others, which is no failure. Once the state is stale, no node is ahead of
            // this one.
            Err(FollowError::Status(BEHIND)) => {
                if self.is_stale(at) {
                    self.feed.restart();
                }
                backoff::if_behind(random)
            }
            Err(error) => {
                self.note_failure(&error);
                self.error = Some(error);
                backoff::after_failures(self.failures, random)
            }
        };
        self.publish(at);
        pause
    }

    /// Applies a message that the host fetched.
    #[cfg(feature = "gateway")]
    pub(crate) fn apply_message(&mut self, message: &[u8], at: Moment) -> Result<(), FollowError> {
        let applied = self.apply(&Answer::Next(message.to_vec()), at);
        match &applied {
            Ok(_) => (self.failures, self.error) = (0, None),
            Err(error) => self.note_failure(error),
        }
        self.publish(at);
        applied.map(drop)
    }

    /// Returns whether to fetch a snapshot, once.
    pub(super) fn wants_snapshot(&mut self) -> bool {
        std::mem::take(&mut self.wants_snapshot)
    }

    /// Takes a snapshot in the place of the log's beginning. Without it the log is read on.
    pub(super) fn load(&mut self, snapshot: Result<LoadedSnapshot, FollowError>, at: Moment) {
        let loaded = snapshot.and_then(|loaded| Ok(self.feed.load(loaded, at.now)?));
        self.loaded = loaded.is_ok();
        self.keep(None);
        if let Err(error) = loaded {
            self.refused += u64::from(matches!(error, FollowError::Refused(_)));
            self.error = Some(error);
        }
        self.publish(at);
    }

    /// Time has passed: revokes what is due, and tells the verifier where a clock was set.
    pub(crate) fn tick(&mut self, at: Moment) {
        let moved = self.shown_until(at).is_some_and(|until| until.abs_diff(self.shown_until) > 1);
        if self.feed.due(at.now) || moved {
            self.publish(at);
        }
    }

    /// Sweeps one part of the list; `ran` is the running time since the last call. Neither this machine's clock nor the
    /// server's alone makes it forget anything: the earlier of both counts, and it is never ahead of the running time
    /// for long.
    pub(crate) fn sweep(&mut self, ran: Duration, at: Moment) {
        let signed_at = self.feed.this_update();
        if signed_at == 0 {
            return;
        }
        let now = at.now.min(signed_at);
        let clock = self.sweep_clock.get_or_insert(SweepClock::new(now));
        clock.advance(ran, now);
        self.feed.sweep_part(self.part, clock.sweep_at());
        self.part = (self.part + 1) % Revocations::PARTS;
        self.publish(at);
    }

    pub(crate) fn status(&self, at: Moment) -> FollowStatus {
        FollowStatus {
            log_id: self.feed.log_id(),
            seq: self.feed.seq(),
            this_update: self.feed.this_update(),
            complete: self.is_complete(),
            fresh: self.fresh(at),
            started_at: self.started_at,
            keyring_serial: self.feed.keyring_serial(),
            revocations: self.feed.revocations().len(),
            refused: self.refused,
            failures: self.failures,
            diverged: self.diverged,
            last_error: self.error.clone(),
        }
    }

    /// Returns whether it goes on from here.
    fn apply(&mut self, answer: &Answer, at: Moment) -> Result<bool, FollowError> {
        let before = self.feed.seq();
        let (applied, newest) = answer.apply(&mut self.feed, (self.keyring_id, &self.key), at.now)?;
        let head = newest.head();
        self.loaded = false;
        self.wants_snapshot = before == 0 && answer.leaves_much(head, self.feed.seq());
        self.valid_for = head.next_update - head.this_update;
        if applied.complete {
            self.current = Some((self.feed.this_update(), Some(at.ran)));
        }
        if let Some(seconds) = applied.fresh_for {
            self.fresh_until = Some(at.ran + Duration::from_secs(seconds));
        }
        self.keep(Some(answer).filter(|_| !applied.diverged));
        let news = self.feed.seq() > before;
        Ok(if applied.diverged { self.start_again(at) || news } else { news })
    }

    /// It knows something else than the server. Returns whether it starts again now.
    fn start_again(&mut self, at: Moment) -> bool {
        self.diverged += 1;
        let (from, interval) = self.restart;
        let may = at.ran >= from;
        if may {
            self.restart = (at.ran + interval, (2 * interval).min(LONGEST_RESTART_INTERVAL));
            self.feed.restart();
        }
        may
    }

    /// Until when the state is fresh, in seconds of the clock as it is set now.
    fn fresh(&self, at: Moment) -> Option<RangeInclusive<u64>> {
        let (fresh, until) = (self.feed.fresh()?, self.fresh_until?);
        let end = match until.checked_sub(at.ran) {
            Some(left) => at.now.saturating_add(left.as_secs() + u64::from(left.subsec_nanos() > 0)),
            None => at.now.saturating_sub((at.ran - until).as_secs().max(1)),
        };
        Some(*fresh.start()..=end)
    }

    fn is_stale(&self, at: Moment) -> bool {
        self.fresh(at).is_none_or(|fresh| !fresh.contains(&at.now))
    }

    /// A follower that begins anew does not know yet where the end is.
    fn is_complete(&self) -> bool {
        self.feed.log_id().is_some() && self.feed.log().at_end()
    }

    fn has_waited(&self, at: Moment) -> bool {
        self.asked.is_some_and(|(question, asked)| at.ran.saturating_sub(asked).as_secs() >= (question.wait / 2).max(1))
    }

    fn note_failure(&mut self, error: &FollowError) {
        self.failures = self.failures.saturating_add(1);
        match error {
            FollowError::Refused(error) => {
                self.refused += 1;
                // Its place means nothing in another log.
                if matches!(error, FeedError::OtherLog { .. }) {
                    self.feed.restart();
                }
            }
            FollowError::Status(GATEWAY_TIMEOUT) => {
                let asked = self.asked.map_or(0, |(question, _)| question.wait);
                self.longest_wait = if asked > 1 { asked / 2 } else { self.longest_wait };
            }
            _ => {}
        }
    }

    fn publish(&mut self, at: Moment) {
        let fresh = match &self.policy {
            StalePolicy::Of(WhenStale::GoOn) => Fresh::Always,
            StalePolicy::Of(WhenStale::CouldNotTell) => Fresh::Within(self.fresh(at).unwrap_or(NEVER)),
            #[cfg(feature = "gateway")]
            StalePolicy::Realms(realms) => {
                let within = |(realm, limit): &(Realm, u64)| (*realm, self.within(*limit, at));
                Fresh::Realms(realms.iter().map(within).collect())
            }
            #[cfg(not(feature = "gateway"))]
            StalePolicy::Realms(_) => Fresh::Within(NEVER),
        };
        self.shown_until = self.shown_until(at).unwrap_or_default();
        let revocations = Arc::new(self.feed.revocations().clone());
        self.verifier.follow(revocations, self.feed.refused(), fresh);
    }

    /// Takes a state from the disk that is newer than this one. Only before the first question.
    #[cfg(feature = "gateway")]
    pub(crate) fn take_newer(&mut self, kept: FeedState, at: Moment) {
        let place = |feed: &FeedState| (feed.seq(), feed.this_update());
        let is_newer = match kept.log_id() == self.feed.log_id() {
            true => place(&kept) > place(&self.feed),
            false => kept.this_update() > self.feed.this_update(),
        };
        if !is_newer {
            return;
        }
        self.current = kept.log_id().map(|_| (kept.this_update(), None));
        self.feed = kept;
        self.publish(at);
    }

    /// Has the state be kept on disk from now on.
    #[cfg(feature = "gateway")]
    pub(crate) fn keep_by(&mut self, keeper: Option<Arc<super::StateWriter>>) {
        self.keeper = keeper;
    }

    /// The state for the disk.
    #[cfg(feature = "gateway")]
    pub(crate) fn known(&self) -> FeedState {
        self.feed.clone()
    }

    /// Writes a message down that was applied; what is on the way to the end is written as a whole.
    #[cfg_attr(
        not(feature = "gateway"),
        allow(unused_variables, clippy::unused_self, reason = "only gateways keep it")
    )]
    fn keep(&self, answer: Option<&Answer>) {
        #[cfg(feature = "gateway")]
        if let Some(keeper) = &self.keeper {
            match answer {
                Some(Answer::Next(bytes)) => keeper.add(&bytes.as_slice().into(), self.feed.place()),
                _ => keeper.whole(),
            }
        }
    }

    /// The last second of what the verifier is told is fresh; it moves when a clock is set. None where nothing depends
    /// on it.
    fn shown_until(&self, at: Moment) -> Option<u64> {
        match &self.policy {
            StalePolicy::Of(WhenStale::GoOn) => None,
            StalePolicy::Of(WhenStale::CouldNotTell) => self.fresh(at).map(|fresh| *fresh.end()),
            StalePolicy::Realms(_) => Some(*self.within(0, at).end()),
        }
    }

    /// When the state is not older than so many seconds, by the clock that says more.
    fn within(&self, limit: u64, at: Moment) -> RangeInclusive<u64> {
        let Some((signed_at, came)) = self.current else { return NEVER };
        let by_running = came.map_or(u64::MAX, |came| {
            at.now.saturating_add(limit).saturating_sub(at.ran.saturating_sub(came).as_secs())
        });
        signed_at.saturating_sub(CLOCK_DIFFERENCE)..=signed_at.saturating_add(limit).min(by_running)
    }

    /// How old the state is, in seconds; none before the end of the log was reached.
    #[cfg(feature = "gateway")]
    pub(crate) fn age(&self, at: Moment) -> Option<u64> {
        let (signed_at, came) = self.current?;
        let by_running = came.map_or(0, |came| at.ran.saturating_sub(came).as_secs());
        Some(at.now.saturating_sub(signed_at).max(by_running))
    }
}

#[cfg(test)]
mod tests;
