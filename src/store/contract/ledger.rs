//! Keys on record, their budget, their counts and their uses.

use super::*;

pub(super) fn rows_are_recorded_all_or_none(tested: &TestStore) {
    let store = &*tested.store;
    let (one, two) = (row(ONE), row(TWO));
    record(store, std::slice::from_ref(&one), None).expect("recorded");
    assert!(matches!(record(store, &[two.clone(), one.clone()], None), Err(StoreError::Duplicate)));
    assert_eq!(store.count().expect("a count"), 1, "the batch with a duplicate left nothing behind");
    record(store, std::slice::from_ref(&two), None).expect("recorded");
    let store = &*tested.again();
    assert_eq!(store.count().expect("a count"), 2);
    assert_eq!(store.find(&two.id).expect("found").map(|entry| entry.row), Some(two.clone()));
    assert_eq!(store.find(&id("acme_live_0000000000000000000000")).expect("looked"), None);
    let list = |after, limit| {
        let entries = store.list(&LedgerFilter { after, limit, ..LedgerFilter::default() }).expect("a page");
        entries.into_iter().map(|entry| entry.row).collect::<Vec<_>>()
    };
    assert_eq!((list(0, 10), list(0, 1), list(1, 10)), (vec![one.clone(), two.clone()], vec![one], vec![two]));
    let elsewhere = LedgerFilter { realm: "live".parse().ok(), limit: 10, ..LedgerFilter::default() };
    assert_eq!(store.list(&elsewhere).expect("a page"), []);
}

pub(super) fn a_budget_is_counted_per_realm_and_version_and_never_exceeded(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE), row("acme_test_00000XzbyFf5rOyRXQyt8V")], Some(1)).expect("one of each realm");
    let spent = record(store, &[row(TWO)], Some(1));
    assert!(matches!(spent, Err(StoreError::BudgetSpent { count: 1, budget: 1, version: 7, .. })), "{spent:?}");
    assert_eq!(store.count().expect("a count"), 2, "nothing was recorded over the budget");
    record(store, &[row(TWO)], Some(2)).expect("within the budget");
    let counts = store.seal_counts().expect("counts");
    assert_eq!(
        counts.counts.iter().map(|one| (one.realm.as_str(), one.count)).collect::<Vec<_>>(),
        [("acme_live", 2), ("acme_test", 1)]
    );
}

pub(super) fn a_damaged_seal_count_stops_no_other(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE), row("acme_test_00000XzbyFf5rOyRXQyt8V")], None).expect("one of each realm");
    tested.sql("UPDATE seal_counts SET version = 4294967296 WHERE realm = 'acme_test'");
    tested.sql("INSERT INTO seal_counts VALUES ('acme_test', -1, 5), ('acme_test', 8, -5)");
    let known = |count| {
        let counts = vec![SealCount { realm: "acme_live".to_owned(), version: id(ONE).version(), count }];
        SealCounts { counts, damaged: 3 }
    };
    assert_eq!(store.seal_counts().expect("counts"), known(1));
    tested.sql("UPDATE seal_counts SET count = 9223372036854775807 WHERE realm = 'acme_live'");
    let spent = record(store, &[row(TWO)], Some(5));
    assert!(matches!(spent, Err(StoreError::BudgetSpent { budget: 5, .. })), "{spent:?}");
    record(store, &[row(TWO)], None).expect("a suite without a budget goes on");
    assert_eq!(store.seal_counts().expect("counts"), known(i64::MAX.unsigned_abs()), "it stays full");
    tested.sql(&format!("DELETE FROM api_keys WHERE api_key_id = '{TWO}'"));
    tested.sql("UPDATE seal_counts SET count = -5 WHERE realm = 'acme_live'");
    let unknown = record(store, &[row(TWO)], Some(5));
    assert!(matches!(unknown, Err(StoreError::Damaged("the seal counts", _))), "{unknown:?}");
    record(store, &[row(TWO)], None).expect("without a budget no count has to be known");
}

pub(super) fn active_keys_are_counted_by_version_in_one_go(tested: &TestStore) {
    let store = &*tested.store;
    let administrators = LedgerRow { id: id("bulla_00000XzbyFf5rOyRXQyt8V"), ..row(ONE) };
    record(store, &[row(ONE), row(TWO), administrators], None).expect("recorded");
    let counts = |now| {
        let counts = store.active_counts(at(now)).expect("counted");
        counts.iter().map(|count| (count.version, count.all, count.administrators)).collect::<Vec<_>>()
    };
    let version = id(ONE).version();
    assert_eq!(id(TWO).version(), version);
    assert_eq!(counts(0), [(version, 3, 1)]);
    append(store, Change::Revoke { id: id(TWO), expires_at: None }, 60);
    append(store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    assert_eq!((counts(59), counts(60)), (vec![(version, 2, 1)], vec![(version, 1, 1)]));
    tested.sql(&format!("UPDATE api_keys SET version = 4294967296 WHERE api_key_id = '{TWO}'"));
    assert_eq!(counts(59), vec![(version, 1, 1)], "a row of no version stops the counting of no other");
}

pub(super) fn uses_add_up(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE)], None).expect("recorded");
    let used = |text, seconds: u64, count| Use { id: id(text), last_used: 1_795_000_000 + seconds, count };
    store.note_uses(&[used(ONE, 5, 2), used(TWO, 5, 1)]).expect("noted");
    store.note_uses(&[used(ONE, 3, 1)]).expect("noted");
    let entry = store.find(&id(ONE)).expect("looked").expect("found");
    assert_eq!((entry.last_used_at, entry.use_count), (Some(at(5)), 3));
}

pub(super) fn a_count_of_uses_that_is_full_stops_no_other(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE), row(TWO)], None).expect("recorded");
    tested.sql("UPDATE api_keys SET use_count = 9223372036854775800 WHERE seq = 1");
    let used = |text, seconds: u64, count| Use { id: id(text), last_used: 1_795_000_000 + seconds, count };
    let uses = |text: &str| {
        let entry = store.find(&id(text)).expect("looked").expect("found");
        (entry.last_used_at, entry.use_count)
    };
    store.note_uses(&[used(ONE, 5, 100), used(TWO, 6, 2)]).expect("noted");
    let full = i64::MAX.unsigned_abs();
    assert_eq!([uses(ONE), uses(TWO)], [(Some(at(5)), full), (Some(at(6)), 2)]);
    store.note_uses(&[used(TWO, 7, u64::MAX), used(ONE, 7, 1), used(TWO, 7, u64::MAX)]).expect("noted");
    assert_eq!([uses(ONE), uses(TWO)], [(Some(at(7)), full), (Some(at(7)), full)]);
    store.note_uses(&[Use { id: id(ONE), last_used: u64::MAX, count: 0 }]).expect("noted");
    assert_eq!(uses(ONE).0.map(Timestamp::as_second), Some(Timestamp::MAX.as_second()), "the row can be read");
}

pub(super) fn lists_are_filtered_and_damaged_rows_left_out(tested: &TestStore) {
    let store = &*tested.store;
    let texts = [
        "acme_live_00000XzbyFf5rOyRXQyt8V",
        "acme_test_00000XzbyFf5rOyRXQyt8V",
        "bulla_00000XzbyFf5rOyRXQyt8V",
        "acme_live_00000YHqiQd7Eu4eUpRFdL",
    ];
    let mut rows: Vec<LedgerRow> = texts.into_iter().map(row).collect();
    rows[3].app_id = Uuid::from_u128(8);
    rows[3].rerolled_from = Some(id(ONE));
    rows[3].restrictions = None;
    rows[3].expires_at = Some(at(9));
    record(store, &rows, None).expect("recorded");
    let places = |filter: LedgerFilter| -> Vec<i64> {
        store.list(&filter).expect("a page").iter().map(|entry| entry.place).collect()
    };
    let any = || LedgerFilter { limit: 10, ..LedgerFilter::default() };
    let (realm, without) = ("acme_live".parse().ok(), "bulla".parse().ok());
    assert_eq!(places(LedgerFilter { realm, ..any() }), [1, 4]);
    assert_eq!(places(LedgerFilter { without, ..any() }), [1, 2, 4]);
    assert_eq!(places(LedgerFilter { app_id: Some(Uuid::from_u128(8)), ..any() }), [4]);
    assert_eq!(places(LedgerFilter { realm, app_id: Some(Uuid::from_u128(7)), after: 1, ..any() }), [0; 0]);
    assert_eq!(store.find(&id(TWO)).expect("looked").map(|entry| entry.row), Some(rows[3].clone()));
    tested.sql("UPDATE api_keys SET meta = 'x' WHERE seq = 2");
    assert_eq!(places(LedgerFilter { limit: 2, ..LedgerFilter::default() }), [1, 3], "another row takes its place");
    assert_eq!(places(any()), [1, 3, 4]);
    assert!(matches!(store.find(&rows[1].id), Err(StoreError::Damaged(_, row)) if row == "2"));
}

pub(super) fn rules_and_realms_are_counted(tested: &TestStore) {
    let store = &*tested.store;
    let other = LedgerRow { app_id: Uuid::from_u128(8), issued_at: at(50), ..row(TWO) };
    record(store, &[row(ONE), other, row("bulla_00000XzbyFf5rOyRXQyt8V")], None).expect("recorded");
    let (app, realm) = (Some(Uuid::from_u128(7)), Some(id(ONE).realm()));
    let before = |app, realm, seconds| store.count_issued_before(app, realm, at(seconds)).expect("counted");
    assert_eq!([before(app, None, 1), before(app, realm, 1), before(None, realm, 51)], [2, 1, 2]);
    assert_eq!([before(app, None, 0), before(None, realm, 50)], [0, 1]);
    let active = |app, realm, seconds: Option<i64>| {
        store.count_active_issued_before(app, realm, seconds.map(at), at(60)).expect("counted")
    };
    assert_eq!([active(app, None, None), active(app, realm, None)], [(2, 1), (1, 0)]);
    assert_eq!([active(None, realm, Some(50)), active(None, realm, Some(51))], [(1, 0), (2, 0)]);
    assert!(store.has_realm(id(ONE).realm()).expect("looked"));
    assert!(!store.has_realm("nobody".parse().expect("a realm")).expect("looked"));
    let seconds = u32::try_from(at(10).as_second()).expect("it fits");
    append(store, Change::RevokeApp { app_id: Uuid::from_u128(7), realm: None, issued_before: seconds }, 0);
    append(store, Change::RevokeApp { app_id: Uuid::from_u128(7), realm, issued_before: seconds + 1 }, 0);
    append(store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: seconds }, 0);
    let app = Uuid::from_u128(7);
    assert_eq!(
        store.rules_behind(at(9)).expect("the rules"),
        [
            (format!("app {app}"), at(10)),
            (format!("app {app} in realm acme_live"), at(11)),
            ("realm acme_live".to_owned(), at(10))
        ]
    );
    assert_eq!(store.rules_behind(at(10)).expect("the rules").len(), 1);
    assert_eq!(active(Some(app), None, None), (0, 0));
    assert_eq!(store.without_secret(id(ONE).realm(), at(60)).expect("counted"), 1);
    let rule = |app_id, realm| {
        transact::<_, StoreError>(store, |transaction| transaction.rule(app_id, realm)).expect("looked")
    };
    assert_eq!([rule(Some(app), None), rule(Some(app), realm), rule(None, realm)], [at(10), at(11), at(10)].map(Some));
    assert_eq!([rule(Some(Uuid::from_u128(9)), None), rule(None, "acme_test".parse().ok())], [None, None]);
    let latest = |app_id, realm: &str| {
        let realm = realm.parse().expect("a realm");
        transact::<_, StoreError>(store, |transaction| transaction.latest_rule(app_id, realm)).expect("looked")
    };
    let (ours, other) = (id(ONE).realm().to_string(), Uuid::from_u128(9));
    assert_eq!(
        [latest(app, &ours), latest(app, "acme_test"), latest(other, &ours)],
        [at(11), at(10), at(10)].map(Some)
    );
    assert_eq!(latest(other, "acme_test"), None);
}
