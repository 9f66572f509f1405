//! What is SQLite's own; what every store does is in `store/contract`.

use super::{migrations::STEPS, *};

const ONE: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";

fn id(text: &str) -> ApiKeyId {
    text.parse().expect("an id")
}

#[test]
fn a_file_that_is_missing_is_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bulla.db");
    assert!(matches!(SqliteStore::open(&path, false), Err(StoreError::Missing(_))));
    assert!(!path.exists());
}

#[test]
fn a_file_that_this_user_may_not_open_is_not_called_missing() {
    let path = Path::new("/srv/bulla.db");
    let told = |found| connection::check_present(path, found).map_err(|error| error.to_string());
    let denied = told(Err(std::io::ErrorKind::PermissionDenied.into())).expect_err("refused");
    assert_eq!(denied, "cannot open the store /srv/bulla.db: permission denied; run this as the user who owns it");
    assert!(told(Ok(false)).is_err_and(|error| error.contains("does not exist")));
    assert_eq!(told(Ok(true)), Ok(()));
}

#[test]
fn a_named_pipe_in_place_of_a_file_is_refused_and_waited_for_by_nobody() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bulla.db");
    let refused = |create| SqliteStore::open(&path, create).err().expect("refused").to_string();
    let pipe = |name: &str| {
        mknodat(CWD, folder.path().join(name), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    };
    pipe("bulla.db");
    for create in [true, false] {
        assert!(refused(create).contains("bulla.db: "), "{}", refused(create));
    }
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, "").expect("written");
    for name in ["bulla.db-wal", "bulla.db-shm", "bulla.db-journal"] {
        pipe(name);
        let told = refused(false);
        assert!(told.contains(name) && told.contains("it is not a regular file"), "{told}");
        std::fs::remove_file(folder.path().join(name)).expect("removed");
    }
    SqliteStore::open(&path, true).expect("nothing is in the way");
}

#[test]
fn a_count_that_goes_on_for_long_holds_up_no_look_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    let _long = lock(&store.counter);
    assert_eq!(store.find(&id(ONE)).expect("looked"), None);
}

#[test]
fn a_record_of_the_audit_cannot_be_put_in_place_of_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    let record = crate::action::Actor::service().record(Timestamp::UNIX_EPOCH, "test", None, serde_json::json!({}));
    crate::store::transact::<_, StoreError>(&store, |transaction| transaction.append_audit(&record)).expect("noted");
    let replace = "REPLACE INTO audit SELECT seq, at, 'x', address, action, target, detail FROM audit WHERE seq = 1";
    let refused = lock(&store.writer).execute(replace, []).expect_err("refused").to_string();
    assert!(refused.contains("append-only"), "{refused}");
}

#[test]
fn a_sweep_drops_rows_in_portions() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    let fill = |count: u32| {
        let insert = "WITH RECURSIVE number (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM number WHERE at < ?1)
                      INSERT INTO revocations (kind, api_key_id, version, expires_at, effective_at, recorded_at, recorded_by)
                      SELECT 'revoke', 'live_' || at, 1, 1, 0, 0, 'test' FROM number";
        lock(&store.writer).execute(insert, [count]).expect("filled");
    };
    let at = |seconds| Timestamp::from_second(seconds).expect("a time");
    let swept = Sweep { now: at(9), expired_before: at(5), destroyed: &[], answered_before: at(5) };
    fill(5);
    let portion = || sweep::sweep(&lock(&store.writer), &swept, 2).expect("swept");
    assert_eq!([portion(), portion()], [2, 2]);
    assert_ne!(store.sweep_clock().expect("a time"), 9, "something is left");
    assert_eq!((portion(), store.sweep_clock().expect("a time")), (1, 9));
    fill(sweep::PORTION * 2 + 1);
    store.sweep(&swept).expect("swept");
    let left = lock(&store.writer).query_row("SELECT count(*) FROM revocations", [], |row| row.get::<_, i64>(0));
    assert_eq!(left.expect("counted"), 0);
}

/// Bytes that are no UTF-8, as a text.
const NO_TEXT: &str = "CAST(x'61ff62' AS TEXT)";

#[test]
fn a_text_that_is_no_utf_8_hides_no_other_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    let sql = |sql: String| lock(&store.writer).execute_batch(&sql).expect(&sql);
    let (other, now) = ("acme_live_00000YHqiQd7Eu4eUpRFdL", Timestamp::from_second(1_795_000_100).expect("a time"));
    for (key, name) in [(ONE, NO_TEXT), (other, "'good'")] {
        sql(format!(
            "INSERT INTO api_keys (api_key_id, realm, app_id, version, name, issued_at, scopes, meta, issued_by, revoked_at,
                                   revoke_reason)
             VALUES ('{key}', 'acme_live', '00000000-0000-0000-0000-000000000007', 7, {name}, 1795000000, 'a', '{{}}', 'test',
                     NULL, {name})"
        ));
        for text in [name, "'whole'"] {
            sql(format!(
                "INSERT INTO secret_hashes (api_key_id, phc, mac, binding, created_at) VALUES ('{key}', {text}, 'm', 'b', 0)"
            ));
        }
    }
    // The ledger: the others are listed, and this one can be revoked and suspended.
    let ids = |entries: Vec<LedgerEntry>| entries.iter().map(|entry| entry.row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.list(&LedgerFilter { limit: 9, ..LedgerFilter::default() }).expect("a list")), [id(other)]);
    assert!(matches!(store.find(&id(ONE)), Err(StoreError::Damaged("the ledger", row)) if row == "1"));
    let (actor, fleet) = (crate::action::Actor::service(), crate::config::FleetConfig::default());
    let context =
        crate::action::revoke::RevokeContext { store: &store, fleet: &fleet, actor: &actor, now, reason: None };
    let suspended = context.suspend(id(ONE)).expect("suspended");
    assert!(suspended.changed && suspended.on_record);
    context.resume(id(ONE)).expect_err("nobody knows that it is not revoked");
    assert!(context.revoke(id(ONE), "api_key.revoke").expect("revoked").changed);
    // The search of lost revocations finds it without its reason.
    sql(format!("UPDATE api_keys SET revoke_reason = {NO_TEXT} WHERE seq = 1; DELETE FROM revocations"));
    let page = store.revoked_page(0, 9, now, false).expect("a page");
    assert_eq!(page.lost.iter().map(|lost| (lost.id, lost.reason.clone())).collect::<Vec<_>>(), [(id(ONE), None)]);
    // Secret halves.
    let whole = |key| store.secret_hashes(&id(key), now).expect("read").len();
    assert_eq!((whole(ONE), whole(other)), (1, 2));
    let sample = store.secret_sample(0, 9).expect("a sample");
    assert_eq!((sample.rows.len(), sample.damaged), (3, vec![1]));
    sql(format!("UPDATE secret_hashes SET api_key_id = {NO_TEXT} WHERE seq = 2"));
    let changes = store.secret_changes(0).expect("changes");
    assert_eq!((changes.changed.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), changes.end), (vec![1, 3, 4], 4));
    // The audit, which has two records of before.
    let before = store.audit_after(0, 9).expect("the audit").len() as u64;
    sql(format!("INSERT INTO audit VALUES ({}, 1, {NO_TEXT}, NULL, 'x', 'y', '{{}}')", before + 1));
    let record = store.audit_after(before, 9).expect("the audit").remove(0).record;
    assert_eq!((record.actor.as_str(), record.action.as_str()), ("a\u{fffd}b", "x"));
    assert_eq!(record.detail, serde_json::json!({"damaged": true}));
    // The memory of keyrings, and the fleet.
    sql(format!("INSERT INTO keyring_memory VALUES ({NO_TEXT}, 1)"));
    let memories = store.keyring_memories().expect("the memory");
    assert_eq!((memories.known.len(), memories.damaged), (0, 1));
    let rows = ["a", "c"].map(|name| crate::store::followers::tests::row(name, "log", 4, 0));
    store.note_followers(&rows, Timestamp::UNIX_EPOCH).expect("noted");
    sql(format!("UPDATE followers SET name = {NO_TEXT} WHERE name = 'a'; UPDATE followers SET owner = {NO_TEXT}"));
    let fleet = store.followers("", 1, Timestamp::UNIX_EPOCH).expect("the fleet");
    assert_eq!(fleet.iter().map(|row| (row.name.as_str(), row.owner.as_str())).collect::<Vec<_>>(), [("c", "")]);
    let owners = store.follower_owners(&["c".to_owned()], Timestamp::UNIX_EPOCH).expect("owners");
    assert_eq!(owners, [("c".to_owned(), "a\u{fffd}b".to_owned())]);
    assert_eq!(store.followers_short_of("log", 5, 9, Timestamp::UNIX_EPOCH).expect("looked").missing, 2);
}

#[test]
fn a_set_of_imported_keys_that_is_no_utf_8_hides_no_other_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    let layout = |prefix: &str| crate::imported::KeyLayout {
        prefix: prefix.to_owned(),
        ..crate::imported::KeyLayout::new(crate::imported::Scheme::Sha256)
    };
    for prefix in ["a", "b"] {
        crate::store::transact::<_, StoreError>(&store, |transaction| {
            transaction.imported_set(id(ONE).realm(), &layout(prefix), [7; 16])
        })
        .expect("a set");
    }
    lock(&store.writer)
        .execute_batch(&format!("UPDATE imported_sets SET rule = {NO_TEXT} WHERE set_id = 1"))
        .expect("set");
    let sets = store.imported_sets().expect("the sets");
    assert_eq!(sets.iter().map(|set| set.number).collect::<Vec<_>>(), [2]);
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
