//! The follower as its thread drives it, with a clock that the test sets.

use zeroize::Zeroizing;

use super::*;
use crate::{
    api_key::ApiKeyId,
    feed::{FeedError, Format, Head, LogId, Message, SigningKey},
    key_version::KeyVersion,
    keyring::{Keyring, KeyringDocument, VersionState},
    revocation::{Change, LiveDigest, LiveSet, RevocationEvent},
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
    FollowerState::new(FeedState::new(None), trusted, (verifier, WhenStale::GoOn), at(T))
}

/// The clock is right, and the follower began at `T`.
fn at(now: u64) -> Moment {
    Moment { now, ran: Duration::from_secs(now.saturating_sub(T)) }
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
        format: Format::V1,
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
        live: None,
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
    let Question { after, wait, .. } = follower.question(at(now), Duration::ZERO);
    (after, wait)
}

#[test]
fn it_asks_at_once_until_the_end_and_then_waits() {
    let mut follower = follower();
    assert_eq!(follower.status(at(T)).stale_since(T), Some(T), "from the start");
    assert_eq!(ask(&mut follower, T), (0, 0));
    assert_eq!(follower.take(next(message(1, 0, (5, 9), &[revoke(5, None)])), at(T), HALF), Duration::ZERO);
    assert_eq!((ask(&mut follower, T), follower.status(at(T)).complete), ((5, 0), false));
    assert_eq!(follower.take(next(message(1, 5, (9, 9), &[])), at(T), HALF), Duration::ZERO);
    assert_eq!((ask(&mut follower, T), follower.status(at(T)).complete), ((9, 25), true));
    let status = follower.status(at(T));
    assert_eq!((status.seq, status.revocations, status.keyring_serial), (9, 1, 3));
    assert_eq!((status.stale_since(T + 60), status.stale_since(T + 61)), (None, Some(T + 61)));
    assert_eq!(follower.take(next(message_valid_for(20, 1, 9, (10, 10), &[])), at(T), HALF), Duration::ZERO);
    assert_eq!(ask(&mut follower, T), (10, 10), "half the time that the message counts");
}

#[test]
fn a_server_that_answers_nothing_new_without_waiting_is_asked_again_after_a_delay() {
    let mut follower = follower();
    let nothing = || next(message(1, 9, (9, 9), &[]));
    ask(&mut follower, T);
    follower.take(next(message(1, 0, (9, 9), &[])), at(T), HALF);
    assert_eq!(ask(&mut follower, T), (9, 25));
    assert_eq!(follower.take(nothing(), at(T + 11), HALF), SECOND);
    ask(&mut follower, T + 20);
    assert_eq!(follower.take(nothing(), at(T + 35), HALF), Duration::ZERO);
    // Nor does one get on that has more and does not give it.
    ask(&mut follower, T + 35);
    assert_eq!(follower.take(next(message(1, 9, (9, 12), &[])), at(T + 35), HALF), SECOND);
    assert_eq!((ask(&mut follower, T + 36), follower.status(at(T)).complete), ((9, 0), false));
}

#[test]
fn failures_in_a_row_take_longer_and_one_answer_ends_them() {
    let mut follower = follower();
    let mut pauses = Vec::new();
    for error in [FollowError::Status(503), FollowError::Unreachable("away".into()), FollowError::Status(401)] {
        pauses.push(follower.take(Err(error), at(T), HALF));
    }
    assert_eq!(pauses, [2 * SECOND, 4 * SECOND, 8 * SECOND]);
    let status = follower.status(at(T));
    assert_eq!((status.failures, status.last_error.map(|error| error.code())), (3, Some("status")));
    let mut cut_off = message(1, 0, (9, 9), &[revoke(9, None)]);
    cut_off.pop();
    assert_eq!(follower.take(next(cut_off), at(T), HALF), 16 * SECOND);
    let status = follower.status(at(T));
    assert_eq!((status.revocations, status.seq, status.refused), (0, 0, 1));
    follower.take(next(message(1, 0, (9, 9), &[])), at(T), HALF);
    assert_eq!((follower.status(at(T)).failures, follower.status(at(T)).last_error.is_none()), (0, true));
    assert_eq!(ask(&mut follower, T), (9, 25));
    assert_eq!(follower.take(Err(FollowError::Status(503)), at(T), HALF), 2 * SECOND);
    assert_eq!(ask(&mut follower, T), (9, 0), "it may be stale, and is not to wait for news");
}

#[test]
fn another_log_is_read_from_zero_and_revocations_stay() {
    let mut follower = follower();
    follower.take(next(message(1, 0, (9, 9), &[revoke(9, None)])), at(T), HALF);
    assert_eq!(follower.take(next(message(2, 9, (10, 10), &[])), at(T), HALF), 2 * SECOND);
    assert!(matches!(follower.status(at(T)).last_error, Some(FollowError::Refused(FeedError::OtherLog { .. }))));
    assert_eq!((ask(&mut follower, T), follower.status(at(T)).complete), ((0, 0), false));
    follower.take(next(message(2, 0, (2, 2), &[])), at(T), HALF);
    assert_eq!(
        (follower.status(at(T)).seq, follower.status(at(T)).revocations, follower.status(at(T)).complete),
        (2, 1, true)
    );
}

#[test]
fn old_parts_lead_to_the_newest_message_and_make_nothing_fresh() {
    let mut follower = follower();
    let part = |after, end, events: &[RevocationEvent]| {
        let (part, newest) = (message(1, after, end, events), message(1, 9, (9, 9), &[]));
        Ok(Answer::Part { part, newest })
    };
    assert_eq!(follower.take(part(0, (5, 5), &[revoke(4, None)]), at(T), HALF), Duration::ZERO);
    let status = follower.status(at(T));
    assert_eq!((status.seq, status.complete, status.fresh, status.revocations), (5, false, None, 1));
    assert_eq!(follower.take(part(3, (9, 9), &[revoke(4, None), revoke(8, None)]), at(T), HALF), Duration::ZERO);
    assert_eq!((follower.status(at(T)).seq, follower.status(at(T)).fresh), (9, None));
    follower.take(next(message(1, 9, (9, 9), &[])), at(T), HALF);
    assert_eq!(follower.status(at(T + 60)).stale_since(T + 60), None);
}

#[test]
fn a_node_that_is_behind_is_no_failure_and_is_begun_anew_once_the_state_is_stale() {
    let mut follower = follower();
    follower.take(next(message(1, 0, (9, 9), &[])), at(T), HALF);
    ask(&mut follower, T);
    for second in 1..=60 {
        assert_eq!(follower.take(Err(FollowError::Status(BEHIND)), at(T + second), HALF), SECOND / 2);
        let status = follower.status(at(T + second));
        assert_eq!((status.seq, status.complete, status.failures), (9, true, 0));
        assert!(status.last_error.is_none() && status.stale_since(T + second).is_none());
        assert_eq!(ask(&mut follower, T + second), (9, 25));
    }
    follower.take(Err(FollowError::Status(BEHIND)), at(T + 61), HALF);
    assert_eq!(ask(&mut follower, T + 61).0, 0);
}

#[test]
fn after_a_504_it_asks_for_half_the_wait() {
    let mut follower = follower();
    follower.take(next(message(1, 0, (9, 9), &[])), at(T), HALF);
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(ask(&mut follower, T).1);
        follower.take(Err(FollowError::Status(504)), at(T), HALF);
        assert_eq!(ask(&mut follower, T).1, 0, "it may be stale");
        follower.take(next(message(1, 9, (9, 9), &[])), at(T), HALF);
    }
    assert_eq!(waits, [25, 12, 6, 3, 1, 1]);
}

#[test]
fn staleness_is_counted_by_the_running_time_whatever_becomes_of_the_clock() {
    let mut follower = FollowerState { policy: WhenStale::CouldNotTell.into(), ..follower() };
    let moment = |now: u64, ran: u64| Moment { now, ran: Duration::from_secs(ran) };
    // The clock is four minutes ahead of the server's.
    follower.take(next(message(1, 0, (9, 9), &[])), moment(T + 240, 0), HALF);
    let stale = |follower: &mut FollowerState, now, ran| {
        follower.tick(moment(now, ran));
        let stale = follower.status(moment(now, ran)).stale_since(now);
        assert_eq!(stale.is_none(), follower.shown_until >= now, "the verifier has heard");
        stale
    };
    assert_eq!(stale(&mut follower, T + 300, 60), None);
    assert_eq!(stale(&mut follower, T + 301, 61), Some(T + 301));
    // It is set back, and forward: neither makes the state fresh or stale.
    assert_eq!(stale(&mut follower, T + 10, 61), Some(T + 10));
    assert_eq!(stale(&mut follower, T + 9_000, 60), None);
    // The same message comes again, and a later one.
    follower.take(next(message(1, 9, (9, 9), &[])), moment(T + 250, 62), HALF);
    assert!(stale(&mut follower, T + 250, 62).is_some());
    follower.take(next(made_at(T + 1, 9, None)), moment(T + 250, 62), HALF);
    assert_eq!(stale(&mut follower, T + 310, 122), None);
    assert_eq!(stale(&mut follower, T + 311, 123), Some(T + 311));
    // A message that was kept back for longer than clocks may differ counts for less.
    follower.take(next(made_at(T + 2, 9, None)), moment(T + 332, 130), HALF);
    assert_eq!(stale(&mut follower, T + 362, 160), None);
    assert_eq!(stale(&mut follower, T + 363, 161), Some(T + 363));
}

#[test]
fn a_follower_that_diverged_counts_it_and_starts_again_and_not_all_the_time() {
    let mut follower = follower();
    let digest: LiveDigest = "00112233445566778899aabbccddeeff".parse().expect("a digest");
    let other = || Some(LiveSet { from: LiveSet::from_day_of(T), count: 7, digest });
    follower.take(next(message(1, 0, (9, 9), &[revoke(9, None)])), at(T), HALF);
    assert_eq!(follower.take(next(made_at(T + 1, 9, other())), at(T + 1), HALF), Duration::ZERO);
    let status = follower.status(at(T + 1));
    assert_eq!((status.seq, status.complete, status.diverged, status.revocations), (0, false, 1, 1));
    assert_eq!((status.refused, status.failures, status.stale_since(T + 60)), (0, 0, None));
    // The server says the same from the beginning: the follower keeps what it has, and asks at its place.
    for second in 2..=61 {
        let after = ask(&mut follower, T + second).0;
        follower.take(next(made_at(T + second, after, other())), at(T + second), HALF);
        let seq = follower.status(at(T + second)).seq;
        assert_eq!(seq, if second == 61 { 0 } else { 9 }, "{second}");
    }
    assert_eq!((follower.status(at(T + 61)).diverged, follower.status(at(T + 61)).revocations), (61, 1));
    // And then not for two minutes.
    for second in 62..=180 {
        let after = ask(&mut follower, T + second).0;
        follower.take(next(made_at(T + second, after, other())), at(T + second), HALF);
        assert_eq!(follower.status(at(T + second)).seq, 9, "{second}");
    }
}

/// A message of the first log, in format 2, that goes on to its end at 9.
fn made_at(this_update: u64, after: u64, live: Option<LiveSet>) -> Vec<u8> {
    let head = Head {
        format: Format::V2,
        keyring_id: keyring_id(),
        log_id: LogId::from_bytes([1; 16]),
        realm: None,
        after,
        seq: 9,
        head: 9,
        this_update,
        next_update: this_update + 60,
        keyring_serial: 3,
        versions: vec![(KeyVersion::FIRST, VersionState::Active)],
        live,
    };
    Message::write(&head, &[], &signing_key()).expect("a message")
}

#[test]
fn a_follower_whose_clock_is_ahead_for_a_while_forgets_nothing() {
    let mut follower = follower();
    let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
    let (day, year) = (86_400, 365 * 86_400);
    let change = Change::Revoke { id, expires_at: Some(T as u32 + 3_600) };
    follower.take(next(message(1, 0, (9, 9), &[RevocationEvent::at_once(9, change)])), at(T), HALF);
    let all = |follower: &mut FollowerState, ran: u64, now: u64| {
        (0..Revocations::PARTS).for_each(|part| {
            follower.sweep(Duration::from_secs(if part == 0 { ran } else { 0 }), Moment { now, ran: Duration::ZERO })
        });
        follower.status(at(T)).revocations
    };
    assert_eq!(all(&mut follower, 8, T + year), 1, "its own clock");
    follower.take(next(made_at(T + year, 9, None)), at(T + year), HALF);
    assert_eq!(all(&mut follower, 8, T + year), 1, "and the server's");
    assert_eq!(all(&mut follower, day / 2, T + year), 1);
    assert_eq!(all(&mut follower, day / 2, T + year), 0, "it ran for that long");
}

#[test]
fn a_scheduled_revocation_takes_effect_without_another_message() {
    let mut follower = follower();
    follower.take(next(message(1, 0, (9, 9), &[revoke(9, Some(T as u32 + 50))])), at(T), HALF);
    assert_eq!((follower.feed.log().next_due(), follower.status(at(T)).revocations), (Some(T as u32 + 50), 0));
    follower.tick(at(T + 49));
    assert_eq!(follower.status(at(T)).revocations, 0);
    follower.tick(at(T + 50));
    assert_eq!((follower.feed.log().next_due(), follower.status(at(T)).revocations), (None, 1));
}
