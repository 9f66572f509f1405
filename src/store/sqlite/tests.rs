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
