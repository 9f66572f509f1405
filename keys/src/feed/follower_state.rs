//! The follower's state: what follows from answers and from time that passes, without threads, sockets or clock.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{Answer, FeedState, FollowError, FollowStatus, VerifyingKey, WhenStale, backoff, fetch::Question};
use crate::{
    keyring_id::KeyringId,
    revocation::{Revocations, SweepClock},
    shared::SharedVerifier,
};

/// The longest wait that the server is asked for, in seconds. Proxies commonly answer 504 after 30.
const MAX_WAIT: u64 = 25;

/// Another node's log ends before the follower's place.
const BEHIND: u16 = 409;

/// No time at all: the state is not fresh before the end of the log was reached.
const NEVER: RangeInclusive<u64> = RangeInclusive::new(1, 0);

pub(super) struct FollowerState {
    pub(super) keyring_id: KeyringId,
    pub(super) key: VerifyingKey,
    pub(super) verifier: SharedVerifier,
    pub(super) when_stale: WhenStale,
    feed: FeedState,
    /// Messages that were refused.
    refused: u64,
    /// Failed questions in a row.
    failures: u32,
    error: Option<FollowError>,
    /// How long the newest message is valid, in seconds.
    valid_for: u64,
    /// The part of the list that is swept next.
    part: usize,
    /// From the first message on.
    sweep_clock: Option<SweepClock>,
    asked: Option<(Question, u64)>,
    started_at: u64,
}

impl FollowerState {
    pub(super) fn new(
        feed: FeedState,
        (keyring_id, key): (KeyringId, VerifyingKey),
        (verifier, when_stale): (SharedVerifier, WhenStale),
        now: u64,
    ) -> Self {
        let follower = FollowerState {
            keyring_id,
            key,
            verifier,
            when_stale,
            feed,
            refused: 0,
            failures: 0,
            error: None,
            valid_for: 0,
            part: 0,
            sweep_clock: None,
            asked: None,
            started_at: now,
        };
        follower.publish();
        follower
    }

    /// What to ask next, at `now` in Unix seconds.
    pub(super) fn question(&mut self, now: u64) -> Question {
        // Half the validity of the newest message, so that the next one comes in time. After a failure the state may be stale,
        // and an answer is worth more than news.
        let at_rest = self.is_complete() && self.failures == 0;
        let wait = if at_rest { MAX_WAIT.min(self.valid_for / 2) } else { 0 };
        let question = Question { after: self.feed.seq(), log_id: self.feed.log_id(), wait };
        self.asked = Some((question, now));
        question
    }

    /// Applies an answer. Returns how long to wait before the next question; `random` is the jitter.
    pub(super) fn take(&mut self, answer: Result<Answer, FollowError>, now: u64, random: u32) -> Duration {
        let took = answer.and_then(|answer| self.apply(&answer, now));
        let pause = match took {
            Ok(news) => {
                (self.failures, self.error) = (0, None);
                // A server that answers at once is asked again after a delay.
                if news || self.has_waited(now) { Duration::ZERO } else { backoff::after(1, random) }
            }
            Err(error) => {
                self.restart_after(&error, now);
                self.refused += u64::from(matches!(error, FollowError::Refused(_)));
                self.failures = self.failures.saturating_add(1);
                self.error = Some(error);
                backoff::after(self.failures, random)
            }
        };
        self.publish();
        pause
    }

    /// Revokes what is due at `now`, in Unix seconds.
    pub(super) fn due(&mut self, now: u64) {
        if self.feed.due(now) {
            self.publish();
        }
    }

    /// Sweeps one part of the list; `ran` is the running time since the last call. Neither this machine's clock nor the server's
    /// alone makes it forget anything: the earlier of both counts, and it is never ahead of the running time for long.
    pub(super) fn sweep(&mut self, ran: Duration, now: u64) {
        let signed_at = self.feed.this_update();
        if signed_at == 0 {
            return;
        }
        let now = now.min(signed_at);
        let clock = self.sweep_clock.get_or_insert(SweepClock::new(now));
        clock.advance(ran, now);
        self.feed.sweep_part(self.part, clock.sweep_at());
        self.part = (self.part + 1) % Revocations::PARTS;
        self.publish();
    }

    /// When the next revocation is due, in Unix seconds.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.feed.log().next_due().map(u64::from)
    }

    pub(super) fn status(&self) -> FollowStatus {
        FollowStatus {
            log_id: self.feed.log_id(),
            seq: self.feed.seq(),
            complete: self.is_complete(),
            this_update: self.feed.this_update(),
            fresh: self.feed.fresh(),
            started_at: self.started_at,
            keyring_serial: self.feed.keyring_serial(),
            revocations: self.feed.revocations().len(),
            refused: self.refused,
            failures: self.failures,
            last_error: self.error.clone(),
        }
    }

    /// Whether it goes on from here.
    fn apply(&mut self, answer: &Answer, now: u64) -> Result<bool, FollowError> {
        let before = self.feed.seq();
        let (_, newest) = answer.apply(&mut self.feed, (self.keyring_id, &self.key), now)?;
        let head = newest.head();
        self.valid_for = head.next_update - head.this_update;
        Ok(self.feed.seq() > before)
    }

    /// A follower that begins anew does not know yet where the end is.
    fn is_complete(&self) -> bool {
        self.feed.log_id().is_some() && self.feed.log().at_end()
    }

    fn has_waited(&self, now: u64) -> bool {
        self.asked.is_some_and(|(question, at)| now.saturating_sub(at) >= (question.wait / 2).max(1))
    }

    /// Another log, or one that lost its end: the follower's place means nothing in it.
    fn restart_after(&mut self, error: &FollowError, now: u64) {
        match error {
            FollowError::Refused(super::FeedError::OtherLog { .. }) => self.feed.restart(),
            // One node may lag behind the others; once the state is stale, no node is ahead of this one.
            FollowError::Status(BEHIND) if self.feed.is_stale(now) => self.feed.restart(),
            _ => {}
        }
    }

    fn publish(&self) {
        let fresh = match self.when_stale {
            WhenStale::GoOn => None,
            WhenStale::CouldNotTell => Some(self.feed.fresh().unwrap_or(NEVER)),
        };
        let revocations = Arc::new(self.feed.revocations().clone());
        self.verifier.set_revocations(revocations, self.feed.refused(), fresh);
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        api_key::ApiKeyId,
        feed::{FeedError, Head, LogId, Message, SigningKey},
        key_version::KeyVersion,
        keyring::{Keyring, KeyringDocument, VersionState},
        revocation::{Change, RevocationEvent},
        source::Sources,
        verifier::Verifier,
    };

    const T: u64 = 1_800_000_000;
    const HALF: u32 = u32::MAX / 2 + 1;
    const SECOND: Duration = Duration::from_secs(1);

    fn signing_key() -> SigningKey {
        SigningKey::from_seed(&Zeroizing::new([7; 32]))
    }

    fn keyring_id() -> KeyringId {
        KeyringId::from_bytes([1; 16])
    }

    fn follower() -> FollowerState {
        let document = KeyringDocument::new(keyring_id());
        let keyring = Keyring::load(&document, &Sources::new("."), &[]).expect("an empty keyring");
        let verifier = SharedVerifier::new(Verifier::new(&keyring));
        let trusted = (keyring_id(), signing_key().verifying_key());
        FollowerState::new(FeedState::new(None), trusted, (verifier, WhenStale::GoOn), T)
    }

    /// A message of the log with this byte as its id.
    fn message(log: u8, after: u64, end: (u64, u64), events: &[RevocationEvent]) -> Vec<u8> {
        message_valid_for(60, log, after, end, events)
    }

    fn message_valid_for(
        seconds: u64,
        log: u8,
        after: u64,
        (seq, head): (u64, u64),
        events: &[RevocationEvent],
    ) -> Vec<u8> {
        let head = Head {
            keyring_id: keyring_id(),
            log_id: LogId::from_bytes([log; 16]),
            realm: None,
            after,
            seq,
            head,
            this_update: T,
            next_update: T + seconds,
            keyring_serial: 3,
            versions: vec![(KeyVersion::FIRST, VersionState::Active)],
        };
        Message::write(&head, events, &signing_key()).expect("a message")
    }

    fn revoke(seq: u64, effective_at: Option<u32>) -> RevocationEvent {
        let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
        RevocationEvent { effective_at, ..RevocationEvent::at_once(seq, Change::Revoke { id, expires_at: None }) }
    }

    fn next(bytes: Vec<u8>) -> Result<Answer, FollowError> {
        Ok(Answer::Next(bytes))
    }

    fn ask(follower: &mut FollowerState, now: u64) -> (u64, u64) {
        let Question { after, wait, .. } = follower.question(now);
        (after, wait)
    }

    #[test]
    fn it_asks_at_once_until_the_end_and_then_waits() {
        let mut follower = follower();
        assert_eq!(follower.status().stale_since(T), Some(T), "from the start");
        assert_eq!(ask(&mut follower, T), (0, 0));
        assert_eq!(follower.take(next(message(1, 0, (5, 9), &[revoke(5, None)])), T, HALF), Duration::ZERO);
        assert_eq!((ask(&mut follower, T), follower.status().complete), ((5, 0), false));
        assert_eq!(follower.take(next(message(1, 5, (9, 9), &[])), T, HALF), Duration::ZERO);
        assert_eq!((ask(&mut follower, T), follower.status().complete), ((9, 25), true));
        let status = follower.status();
        assert_eq!((status.seq, status.revocations, status.keyring_serial), (9, 1, 3));
        assert_eq!((status.stale_since(T + 60), status.stale_since(T + 61)), (None, Some(T + 61)));
        assert_eq!(follower.take(next(message_valid_for(20, 1, 9, (10, 10), &[])), T, HALF), Duration::ZERO);
        assert_eq!(ask(&mut follower, T), (10, 10), "half the time that the message counts");
    }

    #[test]
    fn a_server_that_answers_nothing_new_without_waiting_is_asked_again_after_a_delay() {
        let mut follower = follower();
        let nothing = || next(message(1, 9, (9, 9), &[]));
        ask(&mut follower, T);
        follower.take(next(message(1, 0, (9, 9), &[])), T, HALF);
        assert_eq!(ask(&mut follower, T), (9, 25));
        assert_eq!(follower.take(nothing(), T + 11, HALF), SECOND);
        ask(&mut follower, T + 20);
        assert_eq!(follower.take(nothing(), T + 35, HALF), Duration::ZERO);
        // Nor does one get on that has more and does not give it.
        ask(&mut follower, T + 35);
        assert_eq!(follower.take(next(message(1, 9, (9, 12), &[])), T + 35, HALF), SECOND);
        assert_eq!((ask(&mut follower, T + 36), follower.status().complete), ((9, 0), false));
    }

    #[test]
    fn failures_in_a_row_take_longer_and_one_answer_ends_them() {
        let mut follower = follower();
        let mut pauses = Vec::new();
        for error in [FollowError::Status(503), FollowError::Unreachable("away".into()), FollowError::Status(401)] {
            pauses.push(follower.take(Err(error), T, HALF));
        }
        assert_eq!(pauses, [SECOND, 2 * SECOND, 4 * SECOND]);
        let status = follower.status();
        assert_eq!((status.failures, status.last_error.map(|error| error.code())), (3, Some("status")));
        let mut cut_off = message(1, 0, (9, 9), &[revoke(9, None)]);
        cut_off.pop();
        assert_eq!(follower.take(next(cut_off), T, HALF), 8 * SECOND);
        assert_eq!((follower.status().revocations, follower.status().seq), (0, 0));
        follower.take(next(message(1, 0, (9, 9), &[])), T, HALF);
        assert_eq!((follower.status().failures, follower.status().last_error.is_none()), (0, true));
        assert_eq!(ask(&mut follower, T), (9, 25));
        assert_eq!(follower.take(Err(FollowError::Status(503)), T, HALF), SECOND);
        assert_eq!(ask(&mut follower, T), (9, 0), "it may be stale, and is not to wait for news");
    }

    #[test]
    fn another_log_is_read_from_zero_and_revocations_stay() {
        let mut follower = follower();
        follower.take(next(message(1, 0, (9, 9), &[revoke(9, None)])), T, HALF);
        assert_eq!(follower.take(next(message(2, 9, (10, 10), &[])), T, HALF), SECOND);
        assert!(matches!(follower.status().last_error, Some(FollowError::Refused(FeedError::OtherLog { .. }))));
        assert_eq!((ask(&mut follower, T), follower.status().complete), ((0, 0), false));
        follower.take(next(message(2, 0, (2, 2), &[])), T, HALF);
        assert_eq!((follower.status().seq, follower.status().revocations, follower.status().complete), (2, 1, true));
    }

    #[test]
    fn old_parts_lead_to_the_newest_message_and_make_nothing_fresh() {
        let mut follower = follower();
        let part = |after, end, events: &[RevocationEvent]| {
            let (part, newest) = (message(1, after, end, events), message(1, 9, (9, 9), &[]));
            Ok(Answer::Part { part, newest })
        };
        assert_eq!(follower.take(part(0, (5, 5), &[revoke(4, None)]), T, HALF), Duration::ZERO);
        let status = follower.status();
        assert_eq!((status.seq, status.complete, status.fresh, status.revocations), (5, false, None, 1));
        assert_eq!(follower.take(part(3, (9, 9), &[revoke(4, None), revoke(8, None)]), T, HALF), Duration::ZERO);
        assert_eq!((follower.status().seq, follower.status().fresh), (9, None));
        follower.take(next(message(1, 9, (9, 9), &[])), T, HALF);
        assert_eq!(follower.status().stale_since(T + 60), None);
    }

    #[test]
    fn a_node_that_is_behind_is_asked_again_and_begun_anew_once_the_state_is_stale() {
        let mut follower = follower();
        follower.take(next(message(1, 0, (9, 9), &[])), T, HALF);
        follower.take(Err(FollowError::Status(BEHIND)), T + 60, HALF);
        assert_eq!(ask(&mut follower, T + 60).0, 9);
        follower.take(Err(FollowError::Status(BEHIND)), T + 61, HALF);
        assert_eq!(ask(&mut follower, T + 61).0, 0);
    }

    #[test]
    fn a_follower_whose_clock_is_ahead_for_a_while_forgets_nothing() {
        let mut follower = follower();
        let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
        let (day, year) = (86_400, 365 * 86_400);
        let change = Change::Revoke { id, expires_at: Some(T as u32 + 3_600) };
        follower.take(next(message(1, 0, (9, 9), &[RevocationEvent::at_once(9, change)])), T, HALF);
        let all = |follower: &mut FollowerState, ran: u64, now: u64| {
            (0..Revocations::PARTS)
                .for_each(|part| follower.sweep(Duration::from_secs(if part == 0 { ran } else { 0 }), now));
            follower.status().revocations
        };
        assert_eq!(all(&mut follower, 8, T + year), 1, "its own clock");
        let ahead = |this_update: u64| {
            let head = Head {
                keyring_id: keyring_id(),
                log_id: LogId::from_bytes([1; 16]),
                realm: None,
                after: 9,
                seq: 9,
                head: 9,
                this_update,
                next_update: this_update + 60,
                keyring_serial: 3,
                versions: vec![(KeyVersion::FIRST, VersionState::Active)],
            };
            Message::write(&head, &[], &signing_key()).expect("a message")
        };
        follower.take(next(ahead(T + year)), T + year, HALF);
        assert_eq!(all(&mut follower, 8, T + year), 1, "and the server's");
        assert_eq!(all(&mut follower, day / 2, T + year), 1);
        assert_eq!(all(&mut follower, day / 2, T + year), 0, "it ran for that long");
    }

    #[test]
    fn a_scheduled_revocation_takes_effect_without_another_message() {
        let mut follower = follower();
        follower.take(next(message(1, 0, (9, 9), &[revoke(9, Some(T as u32 + 50))])), T, HALF);
        assert_eq!((follower.next_due(), follower.status().revocations), (Some(T + 50), 0));
        follower.due(T + 49);
        assert_eq!(follower.status().revocations, 0);
        follower.due(T + 50);
        assert_eq!((follower.next_due(), follower.status().revocations), (None, 1));
    }
}
