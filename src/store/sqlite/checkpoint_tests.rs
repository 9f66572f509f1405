//! Moving the write-ahead log into the database. SQLite does that within a commit, as far as readers let it, and waits
//! for nobody; bulla never asks for more. A `wal_checkpoint(TRUNCATE)`, which waits for readers, would keep writers
//! waiting meanwhile, and answers with a row and no error where it could not finish.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::store::AuditRecord;

fn write(store: &SqliteStore) {
    let record = AuditRecord {
        at: Timestamp::UNIX_EPOCH,
        actor: "service".to_owned(),
        address: None,
        action: "test".to_owned(),
        target: None,
        detail: json!({"text": "x".repeat(100_000)}),
    };
    store.transaction(&mut |transaction| transaction.append_audit(&record)).expect("written");
}

/// What a checkpoint that waits for nobody says: whether it could not finish, and how many pages the log has.
fn checkpoint(path: &Path) -> (bool, i64) {
    let connection = Connection::open(path).expect("opened");
    connection.busy_timeout(Duration::ZERO).expect("set");
    let row = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(0)?, row.get(1)?)));
    row.expect("a row, and no error")
}

#[test]
fn an_old_reader_of_another_process_holds_up_no_write_and_the_log_shrinks_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bulla.db");
    let store = SqliteStore::open(&path, true).expect("opened");
    write(&store);
    let reader = Connection::open(&path).expect("opened");
    reader.execute_batch("BEGIN; SELECT count(*) FROM audit").expect("an old snapshot");
    let log = || std::fs::metadata(path.with_extension("db-wal")).expect("the log").len();
    // More than 1,000 pages, at which each commit tries to move the log.
    let mut slowest = Duration::ZERO;
    for _ in 0..80 {
        let begun = std::time::Instant::now();
        write(&store);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < connection::BUSY_TIMEOUT, "no write waits for the reader: {slowest:?}");
    let (busy, pages) = checkpoint(&path);
    assert!(busy && pages > 1_000, "the reader is in the way: {busy}, {pages}");
    write(&store);
    let grown = log();
    reader.execute_batch("COMMIT").expect("read");
    for _ in 0..80 {
        write(&store);
    }
    assert!(log() <= grown + 400_000, "the log begins again: {} after {grown} bytes", log());
    assert_eq!(checkpoint(&path), (false, 0));
    write(&store);
}
