use bulla::{
    keyring::KeyVersion,
    revocation::{Change, RevocationEvent},
};
use serde_json::json;

use super::{migrations::STEPS, *};
use crate::{
    key_time::KeyTime,
    store::{EscrowRow, IdempotentAnswer, LedgerRow, NewRevocation, NewSecretRow, Restrictions, State, transact},
};

const ONE: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";
const TWO: &str = "acme_live_00000YHqiQd7Eu4eUpRFdL";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
}

fn id(text: &str) -> ApiKeyId {
    text.parse().expect("an id")
}

fn row(text: &str) -> LedgerRow {
    LedgerRow {
        id: id(text),
        app_id: Uuid::from_u128(7),
        name: Some("a name".to_owned()),
        issued_at: at(0),
        expires_at: None,
        scopes: vec!["a".to_owned(), "b".to_owned()],
        restrictions: Some(Restrictions { audience: vec!["shop".to_owned()], cidr: Vec::new() }),
        meta: [("k".to_owned(), "v".to_owned())].into(),
        issued_by: "test".to_owned(),
        rerolled_from: None,
    }
}

fn new_store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    (folder, store)
}

fn record(store: &SqliteStore, rows: &[LedgerRow], budget: Option<u64>) -> Result<(), StoreError> {
    transact(store, |transaction| rows.iter().try_for_each(|row| transaction.insert_api_key(row, budget)))
}

fn revocation(change: Change, effective_at: i64) -> NewRevocation {
    NewRevocation {
        change,
        effective_at: (effective_at > 0).then(|| KeyTime::up(at(effective_at)).expect("it fits")),
        reason: Some("why".to_owned()),
        recorded_at: at(0),
        recorded_by: "test".to_owned(),
    }
}

fn append(store: &SqliteStore, change: Change, effective_at: i64) {
    let new = revocation(change, effective_at);
    transact(store, |transaction| transaction.append_revocation(&new)).expect("appended");
}

/// Sweeps keys that expired before the first time, answers from before the second, and what ended by the third.
fn sweep(store: &SqliteStore, [expired, answered, now]: [i64; 3], destroyed: &[u32]) -> Result<(), StoreError> {
    store.sweep(&Sweep { now: at(now), expired_before: at(expired), destroyed, answered_before: at(answered) })
}

fn log_after(store: &SqliteStore, seq: u64, limit: u32) -> Vec<RevocationEvent> {
    store.revocations_after(seq, limit).expect("the log").events
}

#[test]
fn rows_are_recorded_all_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bulla.db");
    assert!(matches!(SqliteStore::open(&path, false), Err(StoreError::Missing(_))));
    let store = SqliteStore::open(&path, true).expect("a store");
    let (one, two) = (row(ONE), row(TWO));
    record(&store, std::slice::from_ref(&one), None).expect("recorded");
    assert!(matches!(record(&store, &[two.clone(), one.clone()], None), Err(StoreError::Duplicate)));
    assert_eq!(store.count().expect("a count"), 1, "the batch with a duplicate left nothing behind");
    record(&store, std::slice::from_ref(&two), None).expect("recorded");
    drop(store);
    let store = SqliteStore::open(&path, false).expect("again");
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

#[test]
fn a_budget_is_counted_per_realm_and_version_and_never_exceeded() {
    let (_folder, store) = new_store();
    record(&store, &[row(ONE), row("acme_test_00000XzbyFf5rOyRXQyt8V")], Some(1)).expect("one of each realm");
    let spent = record(&store, &[row(TWO)], Some(1));
    assert!(matches!(spent, Err(StoreError::BudgetSpent { count: 1, budget: 1, version: 7, .. })), "{spent:?}");
    assert_eq!(store.count().expect("a count"), 2, "nothing was recorded over the budget");
    record(&store, &[row(TWO)], Some(2)).expect("within the budget");
    let counts = store.seal_counts().expect("counts");
    assert_eq!(
        counts.iter().map(|one| (one.realm.as_str(), one.count)).collect::<Vec<_>>(),
        [("acme_live", 2), ("acme_test", 1)]
    );
}

#[test]
fn the_log_keeps_what_still_says_something() {
    let (_folder, store) = new_store();
    let (one, app_id) = (id(ONE), Uuid::from_u128(7));
    record(&store, &[row(ONE)], None).expect("recorded");
    append(&store, Change::Suspend { id: one, expires_at: None }, 0);
    append(&store, Change::Resume { id: one }, 0);
    append(&store, Change::Revoke { id: one, expires_at: Some(1_795_000_500) }, 60);
    let realm = Some(one.realm());
    append(&store, Change::RevokeApp { app_id, realm: None, issued_before: 5 }, 0);
    append(&store, Change::RevokeApp { app_id, realm, issued_before: 5 }, 0);
    append(&store, Change::RevokeApp { app_id, realm: None, issued_before: 9 }, 0);
    append(&store, Change::RevokeRealm { realm: one.realm(), issued_before: 8 }, 0);
    let log = log_after(&store, 0, 100);
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
    assert_eq!(log_after(&store, 5, 1), log[3..4]);
    let places = |limit| {
        let part = store.revocations_after(5, limit).expect("the log");
        (part.events.len(), part.through, part.end)
    };
    assert_eq!([places(1), places(2), places(3)], [(1, 6, 7), (2, 7, 7), (2, 7, 7)]);
    let entry = store.find(&one).expect("looked").expect("found");
    assert_eq!((entry.revoked_at, entry.suspended_at), (Some(at(60)), None));
    assert_eq!(entry.issued_before, Timestamp::from_second(9).ok());
    assert_eq!([entry.state(at(59)), entry.state(at(60))], [State::Active, State::Revoked]);

    sweep(&store, [501, 0, 0], &[]).expect("swept");
    assert_eq!(log_after(&store, 2, 100).len(), 3, "the key has expired");
    sweep(&store, [501, 0, 0], &[7]).expect("swept");
    assert_eq!(log_after(&store, 0, 100).len(), 3, "the version is destroyed");
    append(&store, Change::Suspend { id: id(TWO), expires_at: None }, 0);
    let newest = log_after(&store, 0, 100).last().map(|event| event.seq);
    assert_eq!(newest, Some(8), "no number is used twice");
}

#[test]
fn a_hash_is_replaced_only_as_it_was_read() {
    let (_folder, store) = new_store();
    let new = |phc: &str, retires_at| NewSecretRow {
        id: id(ONE),
        phc: phc.to_owned(),
        binding: "b".to_owned(),
        mac: "m".to_owned(),
        created_at: at(0),
        retires_at,
    };
    let write = |work: &mut dyn FnMut(&mut dyn Transaction) -> Result<bool, StoreError>| {
        transact(&store, |transaction| work(transaction)).expect("written")
    };
    let read = || store.secret_hashes(&id(ONE), at(0)).expect("read").remove(0);
    write(&mut |transaction| transaction.insert_secret(&new("old", None)).map(|()| true));
    let old = read();
    // Meanwhile the secret half is rerolled: what is made anew of the row that was read must not live on.
    write(&mut |transaction| transaction.retire_secret(old.seq, Some(at(1))));
    assert!(!write(&mut |transaction| transaction.replace_secret(&old, &new("anew", old.retires_at))));
    assert_eq!((read().phc.as_str(), read().retires_at), ("old", Some(at(1))));
    let old = read();
    assert!(!write(
        &mut |transaction| transaction.replace_secret(&old, &NewSecretRow { id: id(TWO), ..new("anew", None) })
    ));
    assert!(write(&mut |transaction| transaction.replace_secret(&old, &new("anew", old.retires_at))));
    assert_eq!((read().phc.as_str(), read().retires_at), ("anew", Some(at(1))));
    assert!(!write(&mut |transaction| transaction.replace_secret(&old, &new("twice", old.retires_at))));
    assert_eq!(store.secret_hashes(&id(ONE), at(1)).expect("read"), [], "it ended");
}

#[test]
fn what_ended_is_ended_for_good_whatever_a_clock_says_later() {
    let (_folder, store) = new_store();
    record(&store, &[row(ONE), row(TWO)], None).expect("recorded");
    append(&store, Change::Revoke { id: id(ONE), expires_at: None }, 60);
    append(&store, Change::Revoke { id: id(TWO), expires_at: None }, 90);
    assert_eq!([59, 60, 60].map(|now| store.settle(at(now)).expect("settled")), [false, true, false]);
    let effective = |after| -> Vec<_> { log_after(&store, after, 9).iter().map(|event| event.effective_at).collect() };
    assert_eq!(effective(0), [Some(1_795_000_090), None]);
    assert_eq!(effective(2), [None], "those hear of it too who had read it with its time");
    let state = |text: &str, now| store.find(&id(text)).expect("looked").expect("found").state(at(now));
    assert_eq!([state(ONE, 0), state(TWO, 0), state(TWO, 90)], [State::Revoked, State::Active, State::Revoked]);
    assert_eq!(store.sweep_clock().expect("a time"), store.sweep_clock().expect("the same"));
    sweep(&store, [0, 0, 70], &[]).expect("swept");
    assert_eq!(store.sweep_clock().expect("a time"), 1_795_000_070);
}

#[test]
fn what_the_log_lost_is_found_page_by_page() {
    let (_folder, store) = new_store();
    let expiring = LedgerRow { expires_at: Some(at(100)), ..row(TWO) };
    record(&store, &[row(ONE), expiring], None).expect("recorded");
    let lost = |after, expired_before| {
        let page = store.revoked_page(after, 1, at(expired_before), false).expect("a page");
        (page.lost.iter().map(|one| one.id).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(lost(0, 0), (vec![], None), "nothing is revoked");
    append(&store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    append(&store, Change::Revoke { id: id(TWO), expires_at: Some(1_795_000_100) }, 0);
    assert_eq!([lost(0, 0), lost(1, 0), lost(2, 0)], [(vec![], Some(1)), (vec![], Some(2)), (vec![], None)]);
    super::lock(&store.writer).execute("DELETE FROM revocations", []).expect("lost");
    assert_eq!([lost(0, 0), lost(1, 0)], [(vec![id(ONE)], Some(1)), (vec![id(TWO)], Some(2))]);
    assert_eq!(lost(1, 101), (vec![], Some(2)), "its key has expired");
    let all = store.revoked_page(0, 9, at(0), true).expect("a page").lost;
    assert_eq!(
        all.iter().map(|one| (one.app_id, one.issued_at)).collect::<Vec<_>>(),
        [(Uuid::from_u128(7), 1_795_000_000); 2]
    );
    let (page, now) = (store.revoked_page(0, 9, at(0), false).expect("a page"), at(5));
    let restored = [(); 2].map(|()| crate::action::restore::restore(&store, &page.lost, now).expect("restored"));
    assert_eq!((restored, lost(0, 0)), ([2, 0], (vec![], Some(1))));
    let entry = store.find(&id(TWO)).expect("looked").expect("found");
    assert_eq!((entry.revoked_at, entry.revoke_reason.as_deref()), (Some(at(0)), Some("why")), "as it was");
}

#[test]
fn a_suspension_in_a_grace_period_is_found_where_the_log_lost_it() {
    let (_folder, store) = new_store();
    record(&store, &[row(ONE)], None).expect("recorded");
    append(&store, Change::Revoke { id: id(ONE), expires_at: None }, 60);
    append(&store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    let lose = |kind: &str| {
        super::lock(&store.writer).execute("DELETE FROM revocations WHERE kind = ?1", [kind]).expect("lost")
    };
    let restore = |now| {
        let lost = store.revoked_page(0, 9, at(0), false).expect("a page").lost;
        crate::action::restore::restore(&store, &lost, at(now)).expect("restored")
    };
    let logged = || {
        let logged = transact::<_, StoreError>(&store, |transaction| transaction.logged(&id(ONE))).expect("looked");
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

#[test]
fn active_keys_are_counted_by_version_in_one_go() {
    let (_folder, store) = new_store();
    let administrators = LedgerRow { id: id("bulla_00000XzbyFf5rOyRXQyt8V"), ..row(ONE) };
    record(&store, &[row(ONE), row(TWO), administrators], None).expect("recorded");
    let counts = |now| {
        let counts = store.active_counts(at(now)).expect("counted");
        counts.iter().map(|count| (count.version, count.all, count.administrators)).collect::<Vec<_>>()
    };
    let version = id(ONE).version();
    assert_eq!(id(TWO).version(), version);
    assert_eq!(counts(0), [(version, 3, 1)]);
    append(&store, Change::Revoke { id: id(TWO), expires_at: None }, 60);
    append(&store, Change::Suspend { id: id(ONE), expires_at: None }, 0);
    assert_eq!((counts(59), counts(60)), (vec![(version, 2, 1)], vec![(version, 1, 1)]));
    // A count that goes on for long holds up no look-up.
    let _long = super::lock(&store.counter);
    assert!(store.find(&id(ONE)).is_ok_and(|found| found.is_some()));
}

#[test]
fn the_audit_has_no_gap_and_is_never_changed() {
    let (_folder, store) = new_store();
    let note = |fail: bool| {
        let record = crate::action::Actor::service().record(at(0), "test", None, json!({}));
        transact(&store, |transaction| {
            transaction.append_audit(&record)?;
            if fail { Err(StoreError::Duplicate) } else { Ok(()) }
        })
    };
    note(false).expect("noted");
    assert!(note(true).is_err());
    note(false).expect("noted");
    let numbers: Vec<u64> = store.audit_after(0, 10).expect("the audit").iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [1, 2]);
    for change in [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "REPLACE INTO audit SELECT seq, at, 'x', address, action, target, detail FROM audit WHERE seq = 1",
        "INSERT INTO audit SELECT 7, at, actor, address, action, target, detail FROM audit WHERE seq = 1",
    ] {
        let refused = super::lock(&store.writer).execute(change, []).expect_err("refused").to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

#[test]
fn an_answer_is_remembered_for_its_caller() {
    let (_folder, store) = new_store();
    let answered = IdempotentAnswer { request: "r".to_owned(), api_key_ids: vec![id(ONE), id(TWO)], at: at(0) };
    let remember = |caller: &str| {
        transact(&store, |transaction| transaction.remember_answer(caller, "k", &answered)).map_err(|_| "twice")
    };
    let answers = |caller: &str| {
        transact::<_, StoreError>(&store, |transaction| transaction.idempotent_answer(caller, "k")).expect("looked")
    };
    remember("me").expect("remembered");
    assert_eq!((answers("me"), answers("you")), (Some(answered.clone()), None));
    assert!(remember("me").is_err());
    sweep(&store, [0, 0, 0], &[]).expect("swept");
    assert!(answers("me").is_some());
    sweep(&store, [0, 1, 0], &[]).expect("swept");
    assert_eq!(answers("me"), None);
}

#[test]
fn uses_add_up() {
    let (_folder, store) = new_store();
    record(&store, &[row(ONE)], None).expect("recorded");
    let used = |text, seconds: u64, count| Use { id: id(text), last_used: 1_795_000_000 + seconds, count };
    store.note_uses(&[used(ONE, 5, 2), used(TWO, 5, 1)]).expect("noted");
    store.note_uses(&[used(ONE, 3, 1)]).expect("noted");
    let entry = store.find(&id(ONE)).expect("looked").expect("found");
    assert_eq!((entry.last_used_at, entry.use_count), (Some(at(5)), 3));
}

#[test]
fn what_is_in_escrow_goes_with_its_key() {
    let (_folder, store) = new_store();
    record(&store, &[row(ONE), row(TWO)], None).expect("recorded");
    let escrowed = |text: &str, ends_at| EscrowRow {
        id: id(text),
        recipient: "age1".to_owned(),
        ciphertext: "sealed".to_owned(),
        ending: None,
        created_at: at(0),
        ends_at,
    };
    let put = |row: EscrowRow| transact(&store, |transaction| transaction.insert_escrow(&row)).expect("stored");
    let found = |text: &str, now| {
        transact::<_, StoreError>(&store, |transaction| transaction.escrow(&id(text), at(now))).expect("looked")
    };
    put(escrowed(ONE, Some(at(9))));
    put(escrowed(TWO, None));
    assert_eq!([found(ONE, 8), found(ONE, 9)], [Some(escrowed(ONE, Some(at(9)))), None]);
    append(&store, Change::Revoke { id: id(TWO), expires_at: None }, 5);
    append(&store, Change::Revoke { id: id(ONE), expires_at: None }, 20);
    assert_eq!(
        [found(TWO, 4).and_then(|row| row.ends_at), found(TWO, 5).and_then(|row| row.ends_at)],
        [Some(at(5)), None]
    );
    assert_eq!(
        found(ONE, 0),
        Some(escrowed(ONE, Some(at(9)))),
        "a revocation that lies further ahead ends it no later"
    );
    let count = || -> i64 {
        store
            .reader()
            .expect("readable")
            .query_row("SELECT count(*) FROM escrow", [], |row| row.get(0))
            .expect("a count")
    };
    sweep(&store, [0, 0, 5], &[]).expect("swept");
    assert_eq!(count(), 1);
    transact(&store, |transaction| transaction.renew_escrow(&id(ONE), "an ending")).expect("renewed");
    assert_eq!(found(ONE, 0).and_then(|row| row.ending).as_deref(), Some("an ending"));
    let elsewhere = "acme_test".parse().ok();
    append(&store, Change::RevokeApp { app_id: Uuid::from_u128(7), realm: elsewhere, issued_before: u32::MAX }, 0);
    append(&store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: 1_795_000_000 }, 0);
    assert_eq!(count(), 1, "another realm, and not issued before");
    append(&store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: 1_795_000_001 }, 0);
    assert_eq!(count(), 0);
}

#[test]
fn what_is_remembered_of_a_keyring_only_grows() {
    let (_folder, store) = new_store();
    let id = KeyringId::from_bytes([1; 16]);
    assert!(store.keyring_memories().expect("nothing yet").is_empty());
    let version = |number| KeyVersion::new(number).expect("a number");
    store.remember_keyring(id, &KeyringMemory { serial: 5, closed: vec![version(2)] }).expect("remembered");
    store.remember_keyring(id, &KeyringMemory { serial: 3, closed: vec![version(1)] }).expect("remembered");
    let memory = KeyringMemory { serial: 5, closed: vec![version(1), version(2)] };
    assert_eq!(store.keyring_memories().expect("a memory"), HashMap::from([(id, memory)]));
}

#[test]
fn a_newer_store_is_left_alone_and_an_older_one_is_brought_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bulla.db");
    let old = Connection::open(&path).expect("opened");
    old.execute_batch(STEPS[0]).expect("the first schema");
    old.pragma_update(None, "user_version", 1).expect("set");
    let insert = "INSERT INTO api_keys (api_key_id, realm, app_id, version, issued_at, scopes, meta, issued_by)
                  VALUES (?1, 'acme_live', '00000000-0000-0000-0000-000000000007', 7, 1795000000, 'a', '{}', 'test')";
    old.execute(insert, [ONE]).expect("a row of then");
    drop(old);
    let store = SqliteStore::open(&path, false).expect("brought up");
    let entry = store.find(&id(ONE)).expect("looked").expect("found");
    assert_eq!((entry.row.restrictions, entry.use_count), (None, 0));
    let log_id = store.revocations_after(0, 1).expect("the log").log_id;
    assert_eq!(log_id.len(), 32);
    drop(store);
    assert_eq!(
        SqliteStore::open(&path, false).expect("again").revocations_after(0, 1).expect("the log").log_id,
        log_id
    );
    Connection::open(&path).expect("opened").pragma_update(None, "user_version", 99).expect("set");
    assert!(matches!(SqliteStore::open(&path, false), Err(StoreError::Newer(_, 99))));
}
