//! The log of revocations against a plain model of it, at its edges, and before a verifier.

use std::{collections::HashMap, sync::Arc};

use bulla::{
    ApiKeyId, Expectations, IssueRequest, Issuer, Realm, Rejection, Verifier,
    claims::Claims,
    keyring::{KeyVersion, Suite, VersionState},
    revocation::{Change, RevocationEvent, RevocationLog, RevocationLogError, Revocations},
};
use uuid::Uuid;

use crate::fixture::{self, ISSUED, MASTER_7, MASTER_8, Version};

const APP: Uuid = Uuid::from_u128(1);
const NOW: u64 = ISSUED;
const TIME: u32 = NOW as u32;

fn live() -> Realm {
    fixture::realm("acme_live")
}

/// One of 62 ids of version 7.
fn id(number: usize) -> ApiKeyId {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    format!("acme_live_00000XzbyFf0000000000{}", char::from(DIGITS[number])).parse().unwrap()
}

fn revoke(seq: u64, number: usize, effective_at: Option<u32>) -> RevocationEvent {
    RevocationEvent { seq, change: Change::Revoke { id: id(number), expires_at: None }, effective_at }
}

fn suspend(seq: u64, number: usize) -> RevocationEvent {
    RevocationEvent::at_once(seq, Change::Suspend { id: id(number), expires_at: None })
}

fn resume(seq: u64, number: usize) -> RevocationEvent {
    RevocationEvent::at_once(seq, Change::Resume { id: id(number) })
}

fn holds(log: &RevocationLog, number: usize) -> bool {
    log.revocations().contains(&id(number), APP, TIME)
}

#[test]
fn random_events_in_random_pieces_come_to_what_a_plain_model_of_them_has() {
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..300 {
        let (mut log, mut now) = (RevocationLog::default(), NOW);
        let (mut times, mut suspended) = (HashMap::<usize, u64>::new(), HashMap::<usize, bool>::new());
        let end = 60;
        while log.seq() < end {
            let through = (log.seq() + 1 + below(20)).min(end);
            let mut events = Vec::new();
            for seq in log.seq() + 1..=through {
                let number = below(8) as usize;
                match below(6) {
                    0 => events.push(revoke(seq, number, None)),
                    1 => events.push(revoke(seq, number, Some(TIME + below(400) as u32))),
                    2 => events.push(suspend(seq, number)),
                    3 => events.push(resume(seq, number)),
                    _ => {}
                }
                if let Some(RevocationEvent { seq: last, change, effective_at }) = events.last().copied()
                    && last == seq
                {
                    match change {
                        Change::Revoke { .. } => {
                            let at = effective_at.map_or(0, u64::from);
                            times.entry(number).and_modify(|time| *time = at.min(*time)).or_insert(at);
                        }
                        change => drop(suspended.insert(number, matches!(change, Change::Suspend { .. }))),
                    }
                }
            }
            log.advance(&events, through, end, now).unwrap();
            now += below(30);
            log.due(now);
            for (number, at) in &times {
                assert!(*at > now || holds(&log, *number), "in time, also on the way");
            }
        }
        assert!(log.at_end());
        for _ in 0..20 {
            let due = times.values().filter(|at| **at > now).min().copied();
            assert!(due.is_none_or(|due| log.next_due().is_some_and(|next| u64::from(next) <= due)));
            for number in 0..8 {
                let revoked = times.get(&number).is_some_and(|at| *at <= now);
                let suspended = suspended.get(&number).copied().unwrap_or(false);
                assert_eq!(holds(&log, number), revoked || suspended);
            }
            now += 20;
            log.due(now);
        }
        assert_eq!((log.next_due(), log.scheduled().count()), (None, 0));
    }
}

#[test]
fn events_that_do_not_go_on_are_refused_and_none_of_them_counts() {
    let mut log = RevocationLog::default();
    assert!(log.at_end());
    log.advance(&[revoke(5, 0, None)], 9, 9, NOW).unwrap();
    for (events, through, seq, after) in [
        (vec![revoke(9, 1, None)], 12, 9, 9),
        (vec![revoke(5, 1, None)], 12, 5, 9),
        (vec![revoke(10, 1, None), revoke(10, 2, None)], 12, 10, 10),
        (vec![revoke(11, 1, None), revoke(10, 2, None)], 12, 10, 11),
        (vec![revoke(12, 1, None)], 11, 11, 12),
        (vec![], 8, 8, 9),
    ] {
        assert_eq!(log.advance(&events, through, through, NOW), Err(RevocationLogError { seq, after }));
        assert_eq!((log.seq(), log.revocations().len()), (9, 1));
    }
    assert_eq!(log.advance(&[], 9, 9, NOW), Ok(false));
    assert_eq!(log.advance(&[revoke(11, 1, None)], 20, 20, NOW), Ok(true));
    assert_eq!((log.seq(), log.revocations().len()), (20, 2));
}

#[test]
fn a_scheduled_revocation_takes_effect_in_its_second_and_the_earlier_one_counts() {
    for events in [
        vec![revoke(1, 0, Some(TIME + 10))],
        vec![revoke(1, 0, Some(TIME + 10)), revoke(2, 0, Some(TIME + 20))],
        vec![revoke(1, 0, Some(TIME + 20)), revoke(2, 0, Some(TIME + 10))],
    ] {
        let mut log = RevocationLog::default();
        assert_eq!(log.advance(&events, 2, 2, NOW), Ok(false));
        assert_eq!(log.next_due(), Some(TIME + 10));
        assert!(!log.due(NOW + 9) && !holds(&log, 0));
        assert!(log.due(NOW + 10) && holds(&log, 0));
        log.due(NOW + 20);
        assert_eq!((holds(&log, 0), log.revocations().len(), log.next_due()), (true, 1, None));
    }
    let mut log = RevocationLog::default();
    log.advance(&[revoke(1, 0, Some(TIME)), revoke(2, 1, Some(TIME + 1)), revoke(3, 1, None)], 3, 3, NOW).unwrap();
    assert!(holds(&log, 0) && holds(&log, 1), "its time has come, or it was overtaken");
    log.advance(&[revoke(4, 2, Some(TIME + 5))], 4, 4, NOW).unwrap();
    log.advance(&[], 4, 4, NOW + 5).unwrap();
    assert!(holds(&log, 2), "what is due is revoked on the occasion");
}

#[test]
fn of_two_expiries_for_one_time_the_later_stands() {
    let event = |seq, expires_at| {
        let change = Change::Revoke { id: id(0), expires_at };
        RevocationEvent { seq, change, effective_at: Some(TIME + 1) }
    };
    for (one, other, stays_until) in [(Some(10), Some(20), 320), (Some(20), Some(10), 320)] {
        let mut log = RevocationLog::default();
        log.advance(&[event(1, one), event(2, other)], 2, 2, NOW).unwrap();
        log.due(NOW + 1);
        assert_eq!(log.revocations().sweep(stays_until - 1).len(), 1);
        assert_eq!(log.revocations().sweep(stays_until).len(), 0);
    }
    for (one, other) in [(Some(10), None), (None, Some(10)), (Some(0), Some(10)), (Some(10), Some(0))] {
        let mut log = RevocationLog::default();
        log.advance(&[event(1, one), event(2, other)], 2, 2, NOW).unwrap();
        log.due(NOW + 1);
        (0..Revocations::PARTS).for_each(|part| log.sweep_part(part, u64::MAX));
        assert_eq!(log.revocations().len(), 1);
    }
}

#[test]
fn on_the_way_to_the_end_nothing_is_let_through_that_is_suspended_there() {
    let mut log = RevocationLog::default();
    log.advance(&[suspend(1, 0), suspend(2, 1)], 2, 2, NOW).unwrap();
    log.advance(&[resume(3, 0), resume(4, 1)], 4, 9, NOW).unwrap();
    assert!(!log.at_end() && holds(&log, 0) && holds(&log, 1));
    // Another reader of the log has not got that far; there is more all the same.
    log.advance(&[suspend(5, 0)], 5, 5, NOW).unwrap();
    assert!(!log.at_end() && holds(&log, 1));
    assert_eq!(log.advance(&[], 9, 9, NOW), Ok(true));
    assert!(log.at_end() && holds(&log, 0) && !holds(&log, 1));
}

#[test]
fn a_restart_gives_nothing_back() {
    let mut log = RevocationLog::default();
    let app_rule = Change::RevokeApp { app_id: Uuid::max(), realm: None, issued_before: TIME };
    let events = [
        revoke(1, 0, None),
        suspend(2, 1),
        revoke(3, 2, Some(TIME + 10)),
        RevocationEvent::at_once(4, app_rule),
        suspend(5, 3),
    ];
    log.advance(&events, 5, 5, NOW).unwrap();
    log.advance(&[resume(6, 3)], 6, 7, NOW).unwrap();
    log.restart();
    assert_eq!((log.seq(), log.revocations().len(), log.next_due()), (0, 4, Some(TIME + 10)));
    log.advance(&[resume(1, 1)], 1, 1, NOW + 10).unwrap();
    let expected = [(0, true), (1, false), (2, true), (3, true)];
    assert_eq!(expected.map(|(number, _)| (number, holds(&log, number))), expected);
    assert_eq!(log.revocations().issued_before(Uuid::max(), live()), TIME);
}

#[test]
fn a_version_is_forgotten_with_what_waits_for_its_time() {
    let other: ApiKeyId = "acme_live_00000cgHDRj5rOyRXQyt8V".parse().unwrap();
    let event = RevocationEvent {
        seq: 4,
        change: Change::Revoke { id: other, expires_at: None },
        effective_at: Some(TIME + 9),
    };
    let events = [revoke(1, 0, None), suspend(2, 1), revoke(3, 2, Some(TIME + 9)), event];
    let mut forgotten = RevocationLog::default();
    forgotten.advance(&events, 4, 4, NOW).unwrap();
    let mut told = forgotten.clone();
    forgotten.forget_version(7);
    told.advance(&[RevocationEvent::at_once(5, Change::ForgetVersion { version: 7 })], 5, 5, NOW).unwrap();
    for log in [forgotten, told] {
        assert!(log.revocations().is_empty());
        assert_eq!(log.scheduled().collect::<Vec<_>>(), [(other, TIME + 9)]);
    }
}

#[test]
fn a_key_issued_from_the_told_second_on_is_good_and_one_before_is_not() {
    let (test, other) = (fixture::realm("acme_test"), Uuid::from_u128(2));
    let app = |realm, issued_before| Change::RevokeApp { app_id: APP, realm, issued_before };
    for (changes, here, elsewhere, others) in [
        (vec![], 0, 0, 0),
        (vec![app(None, 5)], 5, 5, 0),
        (vec![app(Some(live()), 5)], 5, 0, 0),
        (vec![Change::RevokeRealm { realm: live(), issued_before: 5 }], 5, 0, 5),
        (vec![app(None, 5), app(Some(live()), 6), Change::RevokeRealm { realm: live(), issued_before: 7 }], 7, 5, 7),
        (vec![app(None, 5), app(Some(live()), 7), Change::RevokeRealm { realm: live(), issued_before: 6 }], 7, 5, 6),
        (vec![app(None, 7), app(Some(live()), 6), Change::RevokeRealm { realm: live(), issued_before: 5 }], 7, 7, 5),
        (vec![app(None, u32::MAX), app(None, 5)], u32::MAX, u32::MAX, 0),
        (vec![Change::Revoke { id: id(0), expires_at: None }], 0, 0, 0),
    ] {
        let state = Revocations::default().with(&changes);
        for (app_id, realm, expected) in [(APP, live(), here), (APP, test, elsewhere), (other, live(), others)] {
            let told = state.issued_before(app_id, realm);
            assert_eq!(told, expected, "{changes:?}");
            let unnamed = format!("{realm}_00000XzbyFf5rOyRXQyt8V").parse().unwrap();
            assert!(!state.contains(&unnamed, app_id, told));
            assert!(told == 0 || state.contains(&unnamed, app_id, told - 1));
        }
    }
}

#[test]
fn a_verifier_refuses_the_versions_it_is_told_to_and_no_others() {
    let versions = [
        Version::new(7, Suite::Aes256Gcm, VersionState::Deactivated, MASTER_7),
        Version::new(8, Suite::Aes256Gcm, VersionState::Active, MASTER_8),
    ];
    let realms = [live()];
    let key = |number: usize| {
        let mut version = versions[number].clone();
        version.state = VersionState::Active;
        let request = IssueRequest { realm: live(), app_id: APP, expires_at: None, claims: Claims::new() };
        Issuer::new(&fixture::keyring(&[version], &realms)).issue(&request, NOW).unwrap()
    };
    let (seven, eight) = (key(0), key(1));
    let revocations = Revocations::default().with(&[Change::Revoke { id: eight.id(), expires_at: None }]);
    let verifier = Verifier::new(&fixture::keyring(&versions, &realms)).with_revocations(Arc::new(revocations));
    let verdict = |verifier: &Verifier, key: &bulla::ApiKey| {
        verifier.verify(key.expose(), &Expectations::realms(&realms), NOW).err()
    };
    let version = |number| KeyVersion::new(number).unwrap();
    let (refused, revoked) = (Some(Rejection::VersionRefused.into()), Some(Rejection::Revoked.into()));
    for (told, of_seven, of_eight) in [
        (vec![], None, revoked),
        (vec![version(9)], None, revoked),
        (vec![version(7)], refused, revoked),
        (vec![version(8), version(7)], refused, refused),
    ] {
        let refusing = verifier.refusing(&told);
        assert_eq!((verdict(&refusing, &seven), verdict(&refusing, &eight)), (of_seven, of_eight), "{told:?}");
        assert_eq!(verdict(&refusing.refusing(&[]), &seven), of_seven, "what was refused stays so");
    }
    assert_eq!(verdict(&verifier, &seven), None, "the verifier itself is as it was");
}
