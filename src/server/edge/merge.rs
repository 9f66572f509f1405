//! Merging an answer of a source into the state of an edge. Several sources answer, one after another, and each of them
//! may be behind the others, at another log, or at another state of the same log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::feed::{Answer, FeedError, FollowError, FollowerReport, LogId};

use super::follower::{Follower, LONGEST_RESTART_INTERVAL, State};

/// How long no message of a log may come, at the most, before a log that was left counts again.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Whether an answer brought anything new.
pub(super) enum Merged {
    /// The log goes on from here.
    News,
    Nothing,
}

impl Follower {
    /// Applies the answer of a source, and puts it in force.
    pub(super) fn apply(&self, source: usize, answer: Answer, now: u64) -> Result<Merged, FollowError> {
        let mut state = self.lock();
        let before = (state.feed.seq(), state.feed.keyring_serial(), state.feed.refused().len());
        let (applied, message) = match answer.apply(&mut state.feed, (self.trusted.0, &self.trusted.1), now) {
            Ok(applied) => applied,
            // Another source was first.
            Err(FeedError::NotNext { after, seq }) if after < seq => return Ok(Merged::Nothing),
            Err(FeedError::OtherLog { found, .. }) if state.may_change_to(found, now) => {
                state.restart_in(found);
                self.writer.whole();
                return Ok(Merged::Nothing);
            }
            Err(error) => return Err(error.into()),
        };
        let head = message.head();
        state.valid_for = head.next_update - head.this_update;
        state.advanced = Some(Instant::now());
        state.loaded = false;
        if before.0 == 0 && answer.leaves_much(head, state.feed.seq()) {
            state.wants_snapshot = Some(source);
        }
        if applied.complete {
            (state.heard, state.current) = (Some(Instant::now()), Some(state.feed.this_update()));
        }
        let after = (state.feed.seq(), state.feed.keyring_serial(), state.feed.refused().len());
        if (before.1, before.2) != (after.1, after.2) {
            self.put_loaded(&state);
        }
        if applied.changed {
            self.put_revocations(&state);
        }
        self.judge(&state, now);
        let restarted = applied.diverged && self.restart_diverged(source, &mut state);
        // Under the lock: the journal has the messages in the order in which they were applied.
        match answer {
            Answer::Next(bytes) if !restarted => {
                let bytes: Arc<[u8]> = bytes.into();
                state.newest = Some(Arc::clone(&bytes)).filter(|bytes| bytes.len() <= FollowerReport::MAX_SIGNED);
                self.writer.add(&bytes, state.feed.place());
            }
            // A state on the way to the end of the log is written down as a whole.
            _ => self.writer.whole(),
        }
        Ok(if restarted || (after.0, after.1) > (before.0, before.1) { Merged::News } else { Merged::Nothing })
    }

    /// Our state differs from the source's at the same log position. Reads the log from its beginning, unless that
    /// happened a short while ago, and returns whether it does. All that is known stays in force.
    fn restart_diverged(&self, source: usize, state: &mut State) -> bool {
        self.shown.diverged();
        let (from, interval) = state.restart;
        let may = from.is_none_or(|from| Instant::now() >= from);
        if may {
            tracing::warn!(
                source = state.sources[source].name,
                seq = state.feed.seq(),
                "state differs from the source's, reading the log from its beginning"
            );
            state.restart = (Some(Instant::now() + interval), (2 * interval).min(LONGEST_RESTART_INTERVAL));
            state.feed.restart();
        }
        may
    }
}

impl State {
    /// Another log is followed where nobody knows this one any more. Two sources at different logs must not have a
    /// follower change between them again and again, so one that was left is only followed again once this one is
    /// abandoned.
    fn may_change_to(&self, log: LogId, now: u64) -> bool {
        !self.left.contains(&log) || self.is_abandoned(now)
    }

    /// Returns whether no source knows this log any more: the state is stale, and no message of this log came for as
    /// long as one counts. A follower that reads its way to the end of a log is stale, too, and goes on.
    pub(super) fn is_abandoned(&self, now: u64) -> bool {
        let long = Duration::from_secs(self.valid_for).min(LONGEST_SILENCE);
        self.advanced.is_none_or(|at| at.elapsed() >= long) && self.feed.is_stale(now)
    }

    /// Forgets the place in the log, and nothing else.
    pub(super) fn restart(&mut self) {
        self.leave();
        self.feed.restart();
    }

    /// The same, to read this log.
    fn restart_in(&mut self, log: LogId) {
        self.leave();
        self.advanced = Some(Instant::now());
        self.feed.restart_in(log);
    }

    fn leave(&mut self) {
        let left = self.feed.log_id().filter(|log| !self.left.contains(log));
        self.left.extend(left);
        self.advanced = None;
    }
}
