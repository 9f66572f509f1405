//! Stores whose process was killed between two writes to their files: all of them open, with everything that was
//! acknowledged.

use super::*;
use crate::{action::Actor, store::transact};

const PAGE: usize = 4096;
const HEADER: usize = 32;
const FRAME: usize = 24 + PAGE;

/// A change that takes a page or more.
fn note(store: &SqliteStore) {
    let detail = serde_json::json!({ "long": "x".repeat(PAGE) });
    let record = Actor::service().record(Timestamp::UNIX_EPOCH, "test", None, detail);
    transact(store, |transaction| transaction.append_audit(&record)).expect("noted");
}

fn noted(database: &[u8], log: &[u8]) -> Result<usize, StoreError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("bulla.db"), database).expect("written");
    std::fs::write(folder.path().join("bulla.db-wal"), log).expect("written");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), false)?;
    Ok(store.audit_after(0, 100_000)?.len())
}

fn files(folder: &Path) -> [Vec<u8>; 2] {
    ["bulla.db", "bulla.db-wal"].map(|name| std::fs::read(folder.join(name)).expect("a file of the store"))
}

fn checkpoint(folder: &Path) {
    let connection = Connection::open(folder.join("bulla.db")).expect("opened");
    connection.execute_batch("PRAGMA wal_checkpoint(RESTART)").expect("moved");
}

#[test]
fn a_log_that_was_being_moved_into_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    note(&store);
    checkpoint(folder.path());
    (0..20).for_each(|_| note(&store));
    let [before, log] = files(folder.path());
    checkpoint(folder.path());
    let [after, _] = files(folder.path());
    assert!(after.len() > before.len() + 10 * PAGE, "it grew");
    // Pages are moved in the order of their numbers; the first one has the length of the whole.
    for moved in (0..=after.len()).step_by(PAGE) {
        let mut database = after[..moved].to_vec();
        database.extend(before.get(moved..).unwrap_or_default());
        let opened = noted(&database, &log).unwrap_or_else(|error| panic!("{moved} bytes were moved: {error}"));
        assert_eq!(opened, 21, "{moved} bytes were moved");
    }
}

#[test]
fn a_log_that_was_being_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
    (0..4).for_each(|_| note(&store));
    checkpoint(folder.path());
    // What is written next overwrites the log from its beginning, and what was there before stands behind it.
    let [_, mut before] = files(folder.path());
    for round in 0..3 {
        note(&store);
        let [database, after] = files(folder.path());
        assert_eq!(after.len(), before.len(), "the log has room");
        let changed = (0..after.len()).filter(|at| after[*at] != before[*at]);
        let (first, last) = (changed.clone().min().expect("changed"), changed.max().expect("changed"));
        // The header of the log, and the header and the page of a frame, are a write each.
        let frames = (HEADER..after.len()).step_by(FRAME).flat_map(|frame| [frame, frame + 24]);
        for written in [0, HEADER].into_iter().chain(frames).filter(|at| *at >= first && *at <= last + FRAME) {
            let log = [&after[..written], &before[written..]].concat();
            let opened = noted(&database, &log);
            let opened =
                opened.unwrap_or_else(|error| panic!("{written} bytes of round {round} were written: {error}"));
            assert!(opened == 4 + round || opened == 5 + round, "{written} bytes of round {round}: {opened}");
        }
        before = after;
    }
}
