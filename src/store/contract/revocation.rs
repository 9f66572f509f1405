//! The revocation log, and what the ledger has of it.

use super::*;

pub(super) fn the_log_keeps_what_still_says_something(tested: &TestStore) {
    let store = &*tested.store;
    let (one, app_id) = (id(ONE), Uuid::from_u128(7));
    record(store, &[row(ONE)], None).expect("recorded");
    append(store, Change::Suspend { id: one, expires_at: None }, 0);
    append(store, Change::Resume { id: one }, 0);
    append(store, Change::Revoke { id: one, expires_at: Some(1_795_000_500) }, 60);
    let realm = Some(one.realm());
    append(store, Change::RevokeApp { app_id, realm: None, issued_before: 5 }, 0);
    append(store, Change::RevokeApp { app_id, realm, issued_before: 5 }, 0);
    append(store, Change::RevokeApp { app_id, realm: None, issued_before: 9 }, 0);
    append(store, Change::RevokeRealm { realm: one.realm(), issued_before: 8 }, 0);
    let log = log_after(store, 0, 100);
    let revoke = Change::Revoke { id: one, expires_at: Some(1_795_000_500) };
    assert_eq!(
        log,
        [
            RevocationEvent::at_once(2, Change::Resume { id: one }),
            RevocationEvent { seq: 3, change: revoke, effective_at: Some(1_795_000_060) },
            RevocationEvent::at_once(5, Change::RevokeApp { app_id, realm, issued_before: 5 }),
            RevocationEvent::at_once(6, Change::RevokeApp { app_id, realm: None, issued_before: 9 }),
            RevocationEvent::at_once(7, Change::RevokeRealm { realm: one.realm(), issued_before: 8 }),
        ]
    );
    assert_eq!(log_after(store, 5, 1), log[3..4]);
    let places = |limit| {
        let part = store.revocations_after(5, limit).expect("the log");
        (part.events.len(), part.through, part.end)
    };
    assert_eq!([places(1), places(2), places(3)], [(1, 6, 7), (2, 7, 7), (2, 7, 7)]);
    let followed = store.revocations_for_followers(5, 1).expect("the log");
    assert_eq!((followed.events.as_slice(), followed.through, followed.end), (&log[3..4], 6, 7));
    let entry = store.find(&one).expect("looked").expect("found");
    assert_eq!((entry.revoked_at, entry.suspended_at), (Some(at(60)), None));
    assert_eq!(entry.issued_before, Timestamp::from_second(9).ok());
    assert_eq!([entry.state(at(59)), entry.state(at(60))], [State::Active, State::Revoked]);

    sweep(store, [501, 0, 0], &[]).expect("swept");
    assert_eq!(log_after(store, 2, 100).len(), 3, "the key has expired");
    sweep(store, [0, 0, 0], &[7]).expect("swept");
    assert_eq!(log_after(store, 0, 100).len(), 4, "another process may not know yet that the version is destroyed");
    sweep(store, [501, 0, 0], &[7]).expect("swept");
    assert_eq!(log_after(store, 0, 100).len(), 3, "the version is destroyed");
    append(store, Change::Suspend { id: id(TWO), expires_at: None }, 0);
    let newest = log_after(store, 0, 100).last().map(|event| event.seq);
    assert_eq!(newest, Some(8), "no number is used twice");
}

pub(super) fn what_ended_is_ended_for_good_whatever_a_clock_says_later(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE), row(TWO)], None).expect("recorded");
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 60);
    append(store, Change::Revoke { id: id(TWO), expires_at: None }, 90);
    assert_eq!([59, 60, 60].map(|now| store.settle(at(now)).expect("settled")), [false, true, false]);
    let effective = |after| -> Vec<_> { log_after(store, after, 9).iter().map(|event| event.effective_at).collect() };
    assert_eq!(effective(0), [Some(1_795_000_090), None]);
    assert_eq!(effective(2), [None], "those hear of it too who had read it with its time");
    let state = |text: &str, now| store.find(&id(text)).expect("looked").expect("found").state(at(now));
    assert_eq!([state(ONE, 0), state(TWO, 0), state(TWO, 90)], [State::Revoked, State::Active, State::Revoked]);
    assert_eq!(store.sweep_clock().expect("a time"), store.sweep_clock().expect("the same"));
    sweep(store, [0, 0, 70], &[]).expect("swept");
    assert_eq!(store.sweep_clock().expect("a time"), 1_795_000_070);
}

pub(super) fn what_the_log_lost_is_found_page_by_page(tested: &TestStore) {
    let store = &*tested.store;
    let expiring = LedgerRow { expires_at: Some(at(100)), ..row(TWO) };
    record(store, &[row(ONE), expiring], None).expect("recorded");
    let lost = |after, expired_before| {
        let page = store.revoked_page(after, 1, at(expired_before), false).expect("a page");
        (page.lost.iter().map(|one| one.id).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(lost(0, 0), (vec![], None), "nothing is revoked");
    append(store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    append(store, Change::Revoke { id: id(TWO), expires_at: Some(1_795_000_100) }, 0);
    assert_eq!([lost(0, 0), lost(1, 0), lost(2, 0)], [(vec![], Some(1)), (vec![], Some(2)), (vec![], None)]);
    tested.sql("DELETE FROM revocations");
    assert_eq!([lost(0, 0), lost(1, 0)], [(vec![id(ONE)], Some(1)), (vec![id(TWO)], Some(2))]);
    assert_eq!(lost(1, 101), (vec![], Some(2)), "its key has expired");
    let all = store.revoked_page(0, 9, at(0), true).expect("a page").lost;
    assert_eq!(
        all.iter().map(|one| (one.app_id, one.issued_at)).collect::<Vec<_>>(),
        [(Uuid::from_u128(7), 1_795_000_000); 2]
    );
    let (page, now) = (store.revoked_page(0, 9, at(0), false).expect("a page"), at(5));
    let restored = [(); 2].map(|()| crate::action::restore::restore(store, &page.lost, now).expect("restored"));
    assert_eq!((restored, lost(0, 0)), ([2, 0], (vec![], Some(1))));
    let entry = store.find(&id(TWO)).expect("looked").expect("found");
    assert_eq!((entry.revoked_at, entry.revoke_reason.as_deref()), (Some(at(0)), Some("why")), "as it was");
}

pub(super) fn a_suspension_in_a_grace_period_is_found_where_the_log_lost_it(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE)], None).expect("recorded");
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 60);
    append(store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    let lose = |kind: &str| {
        let lost = tested.number(&format!("SELECT count(*) FROM revocations WHERE kind = '{kind}'"));
        tested.sql(&format!("DELETE FROM revocations WHERE kind = '{kind}'"));
        lost
    };
    let restore = |now| {
        let lost = store.revoked_page(0, 9, at(0), false).expect("a page").lost;
        crate::action::restore::restore(store, &lost, at(now)).expect("restored")
    };
    let logged = || {
        let logged = transact::<_, StoreError>(store, |transaction| transaction.logged(&id(ONE))).expect("looked");
        (logged.revoked_at, logged.suspended_at)
    };
    assert_eq!(restore(1), 0, "nothing is lost");
    assert_eq!((lose("suspend"), restore(1), restore(2)), (1, 1, 0));
    assert_eq!(logged(), (Some(at(60)), Some(at(0))));
    assert_eq!((lose("revoke"), restore(3), restore(4)), (1, 1, 0));
    assert_eq!(logged(), (Some(at(60)), Some(at(0))));
    assert_eq!((lose("revoke") + lose("suspend"), restore(5)), (2, 1));
    assert_eq!(logged(), (Some(at(60)), Some(at(0))));
    store.settle(at(60)).expect("settled");
    assert_eq!((lose("suspend"), restore(61)), (1, 0), "a key that is revoked needs no suspension");
    let entry = store.find(&id(ONE)).expect("looked").expect("found");
    assert_eq!((entry.revoke_reason.as_deref(), entry.revoked_at), (Some("why"), Some(at(60))), "as it was");
}

pub(super) fn a_damaged_row_rejects_what_it_names(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE)], None).expect("recorded");
    append(store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    append(store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: 5 }, 0);
    append(store, Change::Suspend { id: id(TWO), expires_at: None }, 0);
    tested.sql(
        "UPDATE revocations SET kind = 'other' WHERE seq = 1; UPDATE revocations SET issued_before = -1 WHERE seq = 2",
    );
    tested.sql("UPDATE revocations SET api_key_id = 'nobody' WHERE seq = 3");
    let part = store.revocations_after(0, 10).expect("the log");
    let ruled_before = u32::try_from(at(300).as_second()).expect("it fits");
    assert_eq!(
        part.events,
        [
            RevocationEvent::at_once(1, Change::Revoke { id: id(ONE), expires_at: None }),
            RevocationEvent::at_once(2, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: ruled_before }),
        ]
    );
    assert_eq!(part.damaged.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(store.still_damaged(&[1, 2, 3, 4]).expect("looked"), [1, 2, 3]);
    let entry = store.find(&id(ONE)).expect("looked").expect("found");
    assert_eq!((entry.revoked_by_log, entry.issued_before), (true, Some(at(300))));
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 0);
    assert_eq!(store.still_damaged(&[1, 2]).expect("looked"), [2], "a whole row took its place");
    let logged = transact::<_, StoreError>(store, |transaction| transaction.logged(&id(ONE))).expect("looked");
    assert_eq!((logged.in_effect, logged.revoked_at), (true, Some(at(0))));
    tested.sql("UPDATE revocations SET recorded_at = 9223372036854775807 WHERE seq = 2");
    let entry = store.find(&id(ONE)).expect("a time behind which there is none stops nobody").expect("found");
    assert_eq!(entry.issued_before, Timestamp::from_second(u32::MAX.into()).ok());
}

pub(super) fn a_revocation_is_put_in_effect_under_a_new_number(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE)], None).expect("recorded");
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 60);
    let put = |text| transact(store, |transaction| transaction.put_in_effect(&id(text))).expect("put");
    put(TWO);
    assert_eq!(store.revocations_after(0, 9).expect("the log").end, 1, "nothing was there");
    put(ONE);
    assert_eq!(log_after(store, 1, 9), [RevocationEvent::at_once(2, Change::Revoke { id: id(ONE), expires_at: None })]);
    assert_eq!(tested.number("SELECT count(*) FROM revocations"), 1);
}

pub(super) fn no_sweep_drops_a_damaged_row(tested: &TestStore) {
    let store = &*tested.store;
    append(store, Change::Revoke { id: id(ONE), expires_at: Some(1_795_000_000) }, 0);
    append(store, Change::Suspend { id: id(TWO), expires_at: Some(1_795_000_000) }, 0);
    append(store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: 5 }, 0);
    let good = "acme_live_0000000000000000000000";
    append(store, Change::Revoke { id: id(good), expires_at: Some(1_795_000_000) }, 0);
    tested.sql("UPDATE revocations SET expires_at = -1 WHERE seq IN (1, 2)");
    tested.sql("UPDATE revocations SET expires_at = 5 WHERE seq = 3");
    let seqs = || log_after(store, 0, 9).iter().map(|event| event.seq).collect::<Vec<_>>();
    assert_eq!(seqs(), [1, 2, 3, 4]);
    sweep(store, [1, 0, 0], &[]).expect("swept");
    assert_eq!(seqs(), [1, 2, 3], "a damaged row counts as revoked for good, and a rule does not expire");
}

pub(super) fn a_row_that_was_added_with_sql_hides_nothing_that_is_appended_later(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE)], None).expect("recorded");
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 60);
    let add = |seq: u64| {
        tested.sql(&format!(
            "INSERT INTO revocations (seq, kind, api_key_id, version, effective_at, recorded_at, recorded_by)
             VALUES ({seq}, 'revoke', '{TWO}', 1, 1, 1, 'somebody')"
        ));
    };
    let seqs = |after| log_after(store, after, 9).iter().map(|event| event.seq).collect::<Vec<_>>();
    let ends = || (store.revocations_after(0, 9).expect("the log").end, store.log_end().expect("the end").seq);
    add(7);
    assert_eq!((seqs(0), ends()), (vec![1, 7], (7, 7)));
    append(store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    assert_eq!((seqs(7), ends()), (vec![8], (8, 8)), "those who have read it hear of the next one");
    add(9);
    assert!(store.settle(at(60)).expect("settled"));
    assert_eq!((seqs(9), ends()), (vec![10], (10, 10)));
    add(12);
    transact(store, |transaction| transaction.put_in_effect(&id(ONE))).expect("put");
    assert_eq!((seqs(12), ends()), (vec![13], (13, 13)));
}
