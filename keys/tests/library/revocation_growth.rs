//! Revocations that grow far: over a million changes, along two lines from one state, and under readers.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use arc_swap::ArcSwap;
use bulla::{
    ApiKeyId, Realm,
    revocation::{Change, Revocations},
};

use crate::{
    fixture,
    revocation::{APP, CLOCK_DIFFERENCE, NOW, Numbers, id, live},
};

/// As many ids as the filter's first segment is for.
const BEFORE_DOUBLING: u128 = 16 * 1024;

fn holds(state: &Revocations, id: &ApiKeyId) -> bool {
    state.contains(id, APP, NOW)
}

fn revoke(number: u128) -> Change {
    Change::Revoke { id: id(live(), 1, number), expires_at: None }
}

#[test]
fn over_a_million_random_changes_no_id_is_lost_and_none_is_made_up() {
    const IDS: u64 = 200_000;
    let realms = [live(), fixture::realm("acme_test")];
    let all: Vec<ApiKeyId> = (0..IDS).map(|number| id(realms[number as usize % 2], 1, number.into())).collect();
    let mut numbers = Numbers(7);
    // By the number of the id: revoked for good, revoked until it expires, suspended.
    let [mut good, mut expiring, mut suspended]: [HashSet<u64>; 3] = Default::default();
    let (mut state, mut done) = (Revocations::default(), 0);
    while done < 1_000_000 {
        let count = 1 + numbers.below(20_000);
        let drawn: Vec<(u64, Change)> = (0..count)
            .map(|_| {
                // Ids come by and by, so that the list grows; many are drawn again.
                let number = numbers.below((1_000 + done / 2).min(IDS));
                let id = all[number as usize];
                let change = match numbers.below(10) {
                    0 => Change::Revoke { id, expires_at: None },
                    1..5 => Change::Revoke { id, expires_at: Some(NOW) },
                    5..7 => Change::Suspend { id, expires_at: None },
                    _ => Change::Resume { id },
                };
                (number, change)
            })
            .collect();
        for (number, change) in &drawn {
            match change {
                Change::Revoke { expires_at: None, .. } => good.insert(*number),
                Change::Revoke { .. } => expiring.insert(*number),
                Change::Suspend { .. } => suspended.insert(*number),
                _ => suspended.remove(number),
            };
        }
        state = state.with(&drawn.iter().map(|(_, change)| *change).collect::<Vec<_>>());
        if numbers.below(12) == 0 {
            let late = u64::from(NOW + CLOCK_DIFFERENCE);
            state = match numbers.below(2) {
                0 => state.sweep(late),
                _ => (0..Revocations::PARTS).fold(state, |state, part| state.sweep_part(part, late)),
            };
            expiring.clear();
        }
        let expected = |number: &u64| [&good, &expiring, &suspended].iter().any(|ids| ids.contains(number));
        let others = (0..2_000).map(|_| numbers.below(IDS));
        for number in drawn.iter().map(|(number, _)| *number).chain(others) {
            assert_eq!(holds(&state, &all[number as usize]), expected(&number), "{number} after {done}");
        }
        done += count;
    }
    for number in 0..IDS {
        let expected = [&good, &expiring, &suspended].iter().any(|ids| ids.contains(&number));
        assert_eq!(holds(&state, &all[number as usize]), expected, "{number}");
    }
}

#[test]
fn two_lines_from_one_state_know_nothing_of_each_other() {
    let base = Revocations::from_changes((0..BEFORE_DOUBLING - 500).map(revoke));
    let lines = [1 << 20, 1 << 30].map(|first| {
        let ids = first..first + 6_000;
        (ids.clone(), ids.fold(base.clone(), |state, number| state.with(&[revoke(number)])))
    });
    let has = |state: &Revocations, number| holds(state, &id(live(), 1, number));
    for (ids, state) in &lines {
        assert!(ids.clone().chain(0..BEFORE_DOUBLING - 500).all(|number| has(state, number)));
        assert!(!ids.clone().any(|number| has(&base, number)), "the base is as it was");
    }
    let [(of_one, one), (of_other, other)] = lines;
    assert!(!of_other.clone().any(|number| has(&one, number)) && !of_one.clone().any(|number| has(&other, number)));
}

#[test]
fn an_id_that_left_comes_again() {
    let (expiring, id) = (Some(NOW), |number| id(live(), 1, number));
    let state =
        Revocations::from_changes((0..5_000).map(|number| Change::Revoke { id: id(number), expires_at: expiring }));
    let swept = state.sweep(u64::from(NOW + CLOCK_DIFFERENCE));
    assert!(swept.is_empty() && !holds(&swept, &id(7)) && holds(&state, &id(7)));
    let again = swept.with(&[Change::Suspend { id: id(7), expires_at: None }]);
    assert!(holds(&again, &id(7)) && !holds(&again, &id(8)));
    let resumed = again.with(&[Change::Resume { id: id(7) }]);
    assert!(resumed.is_empty() && !holds(&resumed, &id(7)));
    assert!(holds(&resumed.with(&[revoke(7)]), &id(7)) && holds(&again.with(&[revoke(8)]), &id(8)));
}

#[test]
fn ids_and_rules_of_many_realms_share_the_filter_and_nothing_else() {
    let realms: Vec<Realm> = (0..40).map(|at| fixture::realm(&format!("realm{at}"))).collect();
    let ids = realms.iter().flat_map(|realm| (0..1_000).map(|number| id(*realm, 1, number)));
    let (taken, open): (Vec<ApiKeyId>, Vec<ApiKeyId>) = ids.partition(|id| id.realm().as_str().len() == 6);
    let state: Revocations = taken.iter().copied().collect();
    let rule = Change::RevokeApp { app_id: APP, realm: Some(realms[39]), issued_before: NOW };
    let ruled = state.with(&[rule]);
    for state in [&state, &ruled] {
        // The same 16 bytes, in another realm.
        assert!(taken.iter().all(|id| holds(state, id)) && !open.iter().any(|id| holds(state, id)));
    }
    let before = |id: &&ApiKeyId| ruled.contains(id, APP, NOW - 1);
    assert_eq!(open.iter().filter(before).count(), 1_000, "the rule's realm alone");
}

#[test]
fn readers_see_each_swapped_state_whole_while_a_writer_goes_on() {
    // The list has so many before, and doubles its filter on the way.
    const FIRST: usize = BEFORE_DOUBLING as usize - 1_000;
    const COUNT: usize = FIRST + 5_000;
    let ids: Vec<ApiKeyId> = (0..COUNT as u128 + 1).map(|number| id(live(), 1, number)).collect();
    let first: Revocations = ids[..FIRST].iter().copied().collect();
    let (current, acknowledged) = (ArcSwap::from_pointee(first), AtomicUsize::new(FIRST));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while acknowledged.load(Ordering::Acquire) < COUNT {
                    let (at_least, state) = (acknowledged.load(Ordering::Acquire), current.load());
                    assert!(state.len() >= at_least, "what was acknowledged holds");
                    let (held, open) = ids.split_at(state.len());
                    assert!(held.iter().rev().take(50).chain(held.iter().step_by(997)).all(|id| holds(&state, id)));
                    assert!(!holds(&state, &open[0]));
                }
            });
        }
        for (at, id) in ids[..COUNT].iter().enumerate().skip(FIRST) {
            let next = current.load().with(&[Change::Revoke { id: *id, expires_at: None }]);
            current.store(Arc::new(next));
            acknowledged.store(at + 1, Ordering::Release);
        }
    });
}
