use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    config::StoreConfig,
    store::{AuditRecord, followers, open, open_source, open_target, test_postgres::Postgres, transact},
};

const KEYS: u64 = 2_500;
const FILL: &str = "
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2500)
    INSERT INTO api_keys (api_key_id, realm, app_id, version, name, issued_at, scopes, meta, issued_by, use_count)
    SELECT 'acme_live_' || n, 'acme_live', 'an app', 7, CASE WHEN n % 3 = 0 THEN 'Ünïcode ''n'' \"more\" \\' || n END, n, 'a b',
           '{}', 'test', n % 7
    FROM number;
    INSERT INTO seal_counts VALUES ('acme_live', 7, 2500), ('acme', 1, 3), ('Acme', 1, 4), ('äcme', 1, 5);
    INSERT INTO keyring_memory VALUES ('k', 5);
    INSERT INTO keyring_burned VALUES ('k', 2), ('k', 1), ('K', 1);
    INSERT INTO revocations (kind, api_key_id, effective_at, recorded_at, recorded_by)
    SELECT 'revoke', api_key_id, 9, 9, 'test' FROM api_keys LIMIT 1500;
    DELETE FROM revocations WHERE seq = 1500;
    INSERT INTO idempotency VALUES ('me', 'b', 'r', '[]', 1), ('me', 'A', 'r', '[]', 1), ('me', 'ä', 'r', '[]', 1);
    INSERT INTO secret_hashes (api_key_id, phc, mac, binding, created_at) VALUES ('x', 'p', 'm', 'b', 1);
    INSERT INTO imported_sets VALUES (1, 'acme_live', '{}', x'000102', 3);
    INSERT INTO imported_keys VALUES (3, 1, NULL, x'ff00', NULL, NULL), (4, 1, x'01', x'ff01', x'', 'y');
    INSERT INTO escrow VALUES ('x', 'age1', 'sealed', NULL, 1, NULL);
";

fn source() -> (TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&StoreConfig::at("sqlite:bulla.db"), folder.path(), true).expect("a store");
    sql(&folder, FILL);
    for _ in 0..3 {
        note(&*store);
    }
    (folder, store)
}

fn sql(folder: &TempDir, text: &str) {
    Connection::open(folder.path().join("bulla.db")).expect("opened").execute_batch(text).expect("done");
}

fn note(store: &dyn Store) {
    try_to_note(store).expect("noted");
}

fn try_to_note(store: &dyn Store) -> Result<(), StoreError> {
    transact(store, |transaction| transaction.append_audit(&record()))
}

fn record() -> AuditRecord {
    crate::action::Actor::service().record(jiff::Timestamp::UNIX_EPOCH, "test", None, serde_json::json!({"a": "ä"}))
}

/// Checks that nobody works on a store that moved to `to`: neither who has had it open nor who opens it.
fn assert_moved(store: &dyn Store, opened: Result<Arc<dyn Store>, StoreError>, to: &TargetDatabase) {
    let refused = [
        try_to_note(store).expect_err("refused"),
        store.revocations_after(0, 9).map(drop).expect_err("refused"),
        store.log_end().map(drop).expect_err("refused"),
        opened.map(drop).expect_err("refused"),
    ];
    for error in refused {
        assert!(matches!(&error, StoreError::Moved { to: url, .. } if *url == to.config.url), "{error}");
    }
}

struct TargetDatabase {
    config: StoreConfig,
    database: String,
}

impl TargetDatabase {
    fn new() -> Self {
        let database = Postgres::shared().new_database();
        TargetDatabase { config: StoreConfig::at(&Postgres::shared().url(&database)), database }
    }

    fn target(&self) -> Arc<dyn Store> {
        open_target(&self.config, "/".as_ref()).expect("a target")
    }

    /// As a service opens it.
    fn opened(&self) -> Result<Arc<dyn Store>, StoreError> {
        open(&self.config, "/".as_ref(), false)
    }

    fn copy(&self, from: &dyn Store) -> Result<Copied, CopyError> {
        copy(from, &*self.target(), &mut |_, _| {})
    }
}

/// Begins a copy that ends in the middle of the revocations.
fn interrupt(from: &dyn Store, place: &TargetDatabase) {
    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        copy(from, &*place.target(), &mut |done, _| assert!(done < 3_200, "the power fails"))
    }));
    assert!(interrupted.is_err());
}

/// All rows of a store.
fn all(store: &dyn Store) -> Vec<Vec<RawRow>> {
    let page = |table| store.as_source().page(table, None, 100_000).expect("its rows");
    TABLES.iter().map(page).collect()
}

#[test]
fn a_copy_has_every_row_and_goes_on_with_the_numbers() {
    let ((_folder, from), place) = (source(), TargetDatabase::new());
    let log_id = from.revocations_after(0, 1).expect("the log").log_id;
    let mut last = (0, 0);
    let copied = copy(&*from, &*place.target(), &mut |done, total| last = (done, total)).expect("copied");
    assert_eq!((copied.changed, copied.rows), (copied.rows, KEYS + 4 + 1 + 3 + 1499 + 3 + 3 + 1 + 1 + 2 + 1));
    assert_eq!(last, (copied.rows * 2, copied.rows * 2), "each row was written and looked at");
    let to = place.opened().expect("a store");
    assert!(all(&*from) == all(&*to));
    assert_eq!(from.as_source().head().expect("its head"), to.as_source().head().expect("its head"));
    let part = to.revocations_after(1_499, 9).expect("the log");
    assert_eq!((part.end, part.log_id), (1_500, log_id));
    assert_eq!(place.copy(&*from).expect("it is one").changed, 0, "again, and nothing is to be done");
    note(&*to);
    assert_eq!(to.audit_after(3, 9).expect("the audit")[0].seq, 4);
    assert!(matches!(place.copy(&*from), Err(CopyError::InUseHere { what, .. }) if what.contains("audit, 4")));
    assert!(all(&*from) != all(&*to), "what is in use is left as it is");
}

#[test]
fn an_interrupted_copy_is_nobodys_store_and_goes_on() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    interrupt(&*from, &place);
    let refused = place.opened().err().expect("refused").to_string();
    assert!(refused.contains("bulla store copy"), "{refused}");
    // The source was in use meanwhile.
    sql(&folder, "UPDATE api_keys SET use_count = 99 WHERE seq = 5; DELETE FROM revocations WHERE seq < 100");
    note(&*from);
    let copied = place.copy(&*from).expect("copied");
    assert!(copied.changed < 3_000, "it goes on: {}", copied.changed);
    assert!(all(&*from) == all(&*place.opened().expect("a store")));
}

#[test]
fn a_target_that_holds_something_else_is_refused_and_left_alone() {
    let (_folder, from) = source();
    let used = TargetDatabase::new();
    note(&*open(&used.config, "/".as_ref(), true).expect("a store"));
    assert!(matches!(used.copy(&*from), Err(CopyError::Other)));
    assert_eq!(used.opened().expect("as before").audit_after(0, 9).expect("the audit").len(), 1);
    let place = TargetDatabase::new();
    place.copy(&*from).expect("copied");
    let (_other_folder, other) = source();
    assert!(matches!(place.copy(&*other), Err(CopyError::Other)), "a copy of another store");
    assert!(matches!(copy(&*from, &*other, &mut |_, _| {}), Err(CopyError::NoTarget)));
}

#[test]
fn a_source_that_is_written_meanwhile_makes_no_copy() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    let changed = copy(&*from, &*place.target(), &mut |done, total| {
        if done == total / 2 {
            sql(&folder, "UPDATE api_keys SET use_count = 99 WHERE seq = 5");
        }
    });
    assert!(matches!(changed, Err(CopyError::Changed(what)) if what.contains("api_keys, 5")));
    assert!(place.opened().is_err(), "it is not whole");
    assert_eq!(place.copy(&*from).expect("now").changed, 1);
    assert!(all(&*from) == all(&*place.opened().expect("a store")));
}

#[test]
fn a_table_that_is_written_after_it_was_compared_makes_no_copy() {
    let ((_folder, from), place) = (source(), TargetDatabase::new());
    let changed = copy(&*from, &*place.target(), &mut |done, total| {
        if done == total {
            note(&*from);
        }
    });
    assert!(matches!(changed, Err(CopyError::Changed(what)) if what == "the number of rows of audit"));
    assert!(place.opened().is_err(), "it is not whole");
    assert_eq!(from.as_source().moved().expect("looked"), None, "and the source is in use as before");
    note(&*from);
    assert_eq!(place.copy(&*from).expect("now").changed, 2);
}

#[test]
fn a_source_on_which_a_node_works_is_refused() {
    let ((_folder, from), place) = (source(), TargetDatabase::new());
    let edge = followers::tests::row("edge", "a log", 0, 0);
    let node = FollowerRow { name: "node".to_owned(), role: Role::Node, last_contact: clock::now(), ..edge.clone() };
    let edge = FollowerRow { last_contact: clock::now(), ..edge };
    from.note_followers(&[edge, node], jiff::Timestamp::MIN).expect("noted");
    assert!(matches!(place.copy(&*from), Err(CopyError::Served(name)) if name == "node"));
    from.remove_follower("node", "an app", "aa").expect("it stopped");
    place.copy(&*from).expect("now");
}

#[test]
fn a_damaged_row_is_named_and_not_copied_as_something_else() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    for bytes in ["41ff", "4100"] {
        sql(&folder, &format!("UPDATE api_keys SET name = CAST(x'{bytes}' AS TEXT) WHERE seq = 7"));
        let refused = place.copy(&*from).expect_err("refused").to_string();
        assert_eq!(refused, "from: row 7 of api_keys is damaged: restore the store from a backup");
    }
    sql(&folder, "UPDATE api_keys SET name = NULL WHERE seq = 7");
    place.copy(&*from).expect("now");
    assert!(all(&*from) == all(&*place.opened().expect("a store")));
}

/// As where an imported set was removed from the source meanwhile and imported again.
#[test]
fn a_copy_goes_on_where_ids_have_changed_their_places() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    interrupt(&*from, &place);
    sql(
        &folder,
        "UPDATE api_keys SET api_key_id = 'x' WHERE seq = 1; UPDATE api_keys SET api_key_id = 'acme_live_1' WHERE seq = 2500;
         UPDATE api_keys SET api_key_id = 'acme_live_2500' WHERE seq = 1;
         DELETE FROM api_keys WHERE seq = 2; UPDATE api_keys SET api_key_id = 'acme_live_2' WHERE seq = 2499",
    );
    place.copy(&*from).expect("copied");
    assert!(all(&*from) == all(&*place.opened().expect("a store")));
}

#[test]
fn a_copy_does_not_write_over_a_store_that_another_copy_has_opened() {
    let ((_folder, from), place) = (source(), TargetDatabase::new());
    let refused = copy(&*from, &*place.target(), &mut |done, _| {
        if done == 1 {
            place.copy(&*from).expect("the other one");
            note(&*place.opened().expect("a service on it"));
        }
    });
    let refused = refused.expect_err("it is in the way").to_string();
    assert!(refused.contains("another `bulla store copy` into this database is in the way"), "{refused}");
    assert_eq!(place.opened().expect("a store").audit_after(3, 9).expect("the audit").len(), 1);
}

#[test]
fn a_role_that_may_not_write_every_table_is_refused_before_anything_is_written() {
    let ((_folder, from), owner) = (source(), TargetDatabase::new());
    owner.target();
    let database = owner.database.as_str();
    let sql = "CREATE ROLE no_copier LOGIN; GRANT USAGE ON SCHEMA bulla TO no_copier;
               GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bulla TO no_copier";
    Postgres::shared().psql(database, sql);
    let config = StoreConfig::at(&Postgres::shared().url_of("no_copier", database));
    let place = TargetDatabase { config, database: database.to_owned() };
    let refused = place.copy(&*from).expect_err("refused").to_string();
    assert!(refused.contains("the role no_copier may not write every table"), "{refused}");
    owner.copy(&*from).expect("nothing was begun that is not the owner's");
}

mod moved;
