//! Stores whose files are exchanged, while they are closed and while they are open.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::{action::Actor, store::transact};

const WAL: &str = "bulla.db-wal";
const INDEX: &str = "bulla.db-shm";

fn new_store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    (folder, store)
}

fn note(store: &SqliteStore) -> Result<(), StoreError> {
    let record = Actor::service().record(Timestamp::UNIX_EPOCH, "test", None, serde_json::json!({}));
    transact(store, |transaction| transaction.append_audit(&record))
}

fn noted(store: &SqliteStore) -> usize {
    store.audit_after(0, 100_000).expect("the audit").len()
}

/// What SQLite's own tool does to a store that is in use.
fn sql(folder: &Path, text: &str) {
    let connection = Connection::open(folder.join("bulla.db")).expect("opened");
    connection.execute_batch(text).expect("done");
}

/// A copy as `.backup` makes it.
fn backup(folder: &Path, to: &Path) {
    let from = Connection::open(folder.join("bulla.db")).expect("opened");
    let mut to = Connection::open(to).expect("made");
    let backup = rusqlite::backup::Backup::new(&from, &mut to).expect("begun");
    backup.run_to_completion(1_000, std::time::Duration::ZERO, None).expect("copied");
}

/// The files as a crash would leave them now.
fn crashed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["bulla.db", WAL] {
        std::fs::copy(folder.join(name), copy.path().join(name)).expect("copied");
    }
    copy
}

fn opened(folder: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&folder.join("bulla.db"), false)
}

fn refused(result: Result<impl Sized, StoreError>) -> String {
    match result {
        Err(StoreError::Exchanged(told)) => told,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was done"),
    }
}

#[test]
fn a_store_that_crashed_opens_with_its_log_whatever_was_written_last() {
    let (folder, store) = new_store();
    for (at, between) in [
        "",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA wal_checkpoint(RESTART)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "CREATE INDEX of_an_administrator ON audit (actor)",
        "VACUUM",
        "PRAGMA wal_checkpoint(RESTART); UPDATE revocation_log SET log_id = lower(hex(randomblob(16)))",
        "PRAGMA wal_checkpoint(RESTART); DROP INDEX of_an_administrator",
    ]
    .into_iter()
    .enumerate()
    {
        sql(folder.path(), between);
        let before = crashed(folder.path());
        assert_eq!(noted(&opened(before.path()).expect(between)), at, "{between}");
        note(&store).expect("noted");
        let after = crashed(folder.path());
        assert_eq!(noted(&opened(after.path()).expect(between)), at + 1, "{between}");
    }
}

#[test]
fn a_log_of_another_state_is_never_opened_with_the_store() {
    let (folder, store) = new_store();
    let [older, vacuumed, newest] = ["older.db", "vacuumed.db", "newest.db"].map(|name| folder.path().join(name));
    note(&store).expect("noted");
    backup(folder.path(), &older);
    note(&store).expect("noted");
    sql(folder.path(), "PRAGMA wal_checkpoint(RESTART)");
    note(&store).expect("noted");
    sql(folder.path(), &format!("VACUUM INTO '{}'", vacuumed.display()));
    backup(folder.path(), &newest);
    note(&store).expect("noted");
    let put = |copy: &Path| {
        let place = crashed(folder.path());
        std::fs::copy(copy, place.path().join("bulla.db")).expect("put in place");
        place
    };
    std::fs::write(folder.path().join("empty.db"), "").expect("written");
    for copy in [&older, &vacuumed, &newest, &folder.path().join("empty.db")] {
        let place = put(copy);
        let log = std::fs::read(place.path().join(WAL)).expect("the log");
        let told = refused(opened(place.path()));
        assert!(told.contains("not the write-ahead log of"), "{told}");
        assert_eq!(std::fs::read(place.path().join(WAL)).expect("still there"), log);
        assert_eq!(std::fs::read(place.path().join("bulla.db")).expect("there"), std::fs::read(copy).expect("there"));
        std::fs::rename(place.path().join(WAL), place.path().join("moved")).expect("moved");
        if copy.metadata().expect("there").len() > 0 {
            assert!(noted(&opened(place.path()).expect("as it was copied")) < 4);
        }
    }
}

#[test]
fn a_restore_through_sqlite_needs_no_other_file() {
    let (folder, store) = new_store();
    note(&store).expect("noted");
    let copy = folder.path().join("copy.db");
    backup(folder.path(), &copy);
    (0..3).for_each(|_| note(&store).expect("noted"));
    sql(folder.path(), "PRAGMA wal_checkpoint(RESTART)");
    {
        let from = Connection::open(&copy).expect("opened");
        let mut to = Connection::open(folder.path().join("bulla.db")).expect("opened");
        let backup = rusqlite::backup::Backup::new(&from, &mut to).expect("begun");
        backup.run_to_completion(1_000, std::time::Duration::ZERO, None).expect("restored");
    }
    assert_eq!(noted(&opened(crashed(folder.path()).path()).expect("all of it is in the log")), 1);
    note(&store).expect("the service goes on");
    assert_eq!(noted(&opened(crashed(folder.path()).path()).expect("as before")), 2);
    store.check_files().expect("nothing was exchanged");
}

#[test]
fn a_log_that_was_removed_is_missed() {
    let (folder, store) = new_store();
    note(&store).expect("noted");
    let place = crashed(folder.path());
    std::fs::copy(folder.path().join(INDEX), place.path().join(INDEX)).expect("copied");
    std::fs::rename(place.path().join(WAL), place.path().join("moved")).expect("removed");
    let told = refused(opened(place.path()));
    assert!(told.contains("is missing"), "{told}");
    std::fs::rename(place.path().join("moved"), place.path().join(WAL)).expect("put back");
    assert_eq!(noted(&opened(place.path()).expect("as before")), 1);
}

/// How each exchange under an open store is told, and whether reading goes on.
type Exchange = fn(&Path);

#[test]
fn what_is_exchanged_under_an_open_store_ends_writing() {
    fn copy(folder: &Path) -> PathBuf {
        let copy = folder.join("copy.db");
        backup(folder, &copy);
        sql(folder, "PRAGMA wal_checkpoint(RESTART)");
        copy
    }
    let exchanges: [(&str, bool, Exchange); 7] = [
        ("bulla.db is another file", false, |folder| {
            let copy = copy(folder);
            std::fs::rename(copy, folder.join("bulla.db")).expect("moved");
        }),
        ("bulla.db was overwritten", false, |folder| {
            let copy = copy(folder);
            let store = opened(folder).expect("another process");
            note(&store).expect("noted");
            std::fs::copy(copy, folder.join("bulla.db")).expect("copied");
            std::mem::forget(store);
        }),
        ("bulla.db was removed", false, |folder| std::fs::remove_file(folder.join("bulla.db")).expect("removed")),
        ("bulla.db-wal was removed", false, |folder| std::fs::remove_file(folder.join(WAL)).expect("removed")),
        ("bulla.db-shm was removed", false, |folder| std::fs::remove_file(folder.join(INDEX)).expect("removed")),
        ("bulla.db-wal is another file", false, |folder| {
            std::fs::copy(folder.join(WAL), folder.join("wal")).expect("copied");
            std::fs::rename(folder.join("wal"), folder.join(WAL)).expect("moved");
        }),
        ("bulla.db was removed", true, |folder| {
            for name in ["bulla.db", WAL, INDEX] {
                std::fs::remove_file(folder.join(name)).expect("removed");
            }
        }),
    ];
    for (told, readable, exchange) in exchanges {
        let (folder, store) = new_store();
        note(&store).expect("noted");
        store.check_files().expect("nothing was exchanged");
        exchange(folder.path());
        for refused in [
            refused(store.check_files()),
            refused(note(&store)),
            refused(store.revocations_after(0, 1)),
            refused(store.secret_changes(0)),
        ] {
            assert!(refused.contains(told), "{told}: {refused}");
        }
        assert_eq!(store.audit_after(0, 10).is_ok(), readable, "{told}");
        let before = std::fs::read(folder.path().join("bulla.db")).ok();
        drop(store);
        if !told.contains("-wal") && !told.contains("-shm") {
            let after = std::fs::read(folder.path().join("bulla.db")).ok();
            assert!(before == after, "{told}: another store's file is left as it is");
        }
    }
}

#[test]
fn a_log_that_was_removed_is_moved_into_the_store_when_it_is_closed_unless_another_took_its_place() {
    for another in [false, true] {
        let (folder, store) = new_store();
        note(&store).expect("noted");
        store.check_files().expect("nothing was exchanged");
        let log = std::fs::read(folder.path().join(WAL)).expect("the log");
        std::fs::remove_file(folder.path().join(WAL)).expect("removed");
        if another {
            std::fs::write(folder.path().join(WAL), &log).expect("written");
        }
        refused(note(&store));
        drop(store);
        assert_eq!(folder.path().join(WAL).exists(), another);
        if !another {
            assert_eq!(noted(&opened(folder.path()).expect("opened")), 1);
        }
    }
}

#[test]
fn the_file_that_was_moved_away_is_the_store_again_once_it_is_back() {
    let (folder, store) = new_store();
    std::fs::rename(folder.path().join("bulla.db"), folder.path().join("away.db")).expect("moved");
    refused(note(&store));
    std::fs::rename(folder.path().join("away.db"), folder.path().join("bulla.db")).expect("moved back");
    note(&store).expect("noted");
    assert_eq!(noted(&store), 1);
}

#[test]
fn nobody_mistakes_a_log_that_is_just_being_written_for_a_foreign_one() {
    let (folder, store) = new_store();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for checkpoint in ["PASSIVE", "RESTART", "TRUNCATE"] {
            let (folder, done) = (&folder, &done);
            scope.spawn(move || {
                let text = format!("PRAGMA busy_timeout = 60000; PRAGMA wal_checkpoint({checkpoint})");
                while done.load(Ordering::Acquire) < 2 {
                    sql(folder.path(), &text);
                    std::thread::yield_now();
                }
            });
        }
        for _ in 0..2 {
            let (folder, done, store) = (&folder, &done, &store);
            scope.spawn(move || {
                for _ in 0..30 {
                    note(store).expect("the one that stays open");
                    note(&opened(folder.path()).expect("one that comes and goes")).expect("noted");
                    store.check_files().expect("nothing was exchanged");
                }
                done.fetch_add(1, Ordering::AcqRel);
            });
        }
    });
    assert_eq!(noted(&store), 120);
}

#[test]
fn a_dump_of_sql_is_a_store_without_its_number() {
    let (folder, store) = new_store();
    note(&store).expect("noted");
    drop(store);
    sql(folder.path(), "PRAGMA user_version = 0; CREATE VIEW of_an_administrator AS SELECT count(*) FROM audit");
    let store = opened(folder.path()).expect("opened");
    assert_eq!(noted(&store), 1);
    let version: i64 = lock(&store.reader).pragma_query_value(None, "user_version", |row| row.get(0)).expect("read");
    assert_eq!(version, migrations::STEPS.len() as i64);
    drop(store);
    sql(folder.path(), "PRAGMA user_version = 0; DROP TABLE escrow");
    let error = opened(folder.path()).err().expect("refused").to_string();
    assert!(error.contains(".backup") && error.contains("bulla.db"), "{error}");
}

#[test]
fn a_read_only_store_reads_the_log_beside_what_its_link_leads_to() {
    let (folder, store) = new_store();
    note(&store).expect("noted");
    let place = crashed(folder.path());
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(place.path().join("bulla.db"), &link).expect("a link");
    let connections = Connections::open(&link, true).expect("opened");
    assert_eq!(audit::after(&connections.reader, 0, 10).expect("the audit").len(), 1);
}
