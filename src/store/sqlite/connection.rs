//! Opening the file: as a rule to read and write, and where nothing can be written, to read what is there.

use std::{fs::OpenOptions, os::unix::fs::MetadataExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::StoreError;

/// The schema's steps; a store counts in `user_version` how many it has.
pub(super) const MIGRATIONS: [&str; 6] = [
    include_str!("../schema-1.sql"),
    include_str!("../schema-2.sql"),
    include_str!("../schema-3.sql"),
    include_str!("../schema-4.sql"),
    include_str!("../schema-5.sql"),
    include_str!("../schema-6.sql"),
];

/// KiB of pages that the writer keeps at most: with the usual 2,000 a transaction of thousands of rows writes the same pages
/// of an index again and again.
const CACHE_KIB: i64 = 64 * 1024;

/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// Whether file and folder can be written: SQLite keeps files beside its own.
pub(super) fn is_writable(path: &Path) -> bool {
    let writable = |error: std::io::Error| {
        !matches!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied)
    };
    OpenOptions::new().append(true).open(path).map_or_else(writable, |_| true)
}

/// Tells one file at this path from another that is put in its place; 0 where there is none.
pub(super) fn file(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.ino())
}

/// A connection that writes, and one that only reads.
pub(super) fn both(path: &Path, read_only: bool) -> Result<[Connection; 2], StoreError> {
    if read_only {
        return Ok([reading(path)?, reading(path)?]);
    }
    let mut writer = writing(path)?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    writer.pragma_update(None, "cache_size", -CACHE_KIB)?;
    migrate(&mut writer, path)?;
    let reader = writing(path)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok([writer, reader])
}

fn writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What a stopped writer has left in the log beside the file is part of it. Without one the file is all there is, and nobody
/// changes it: SQLite is told so, since it could not lock anything there.
fn reading(path: &Path) -> Result<Connection, StoreError> {
    let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let alone = log.metadata().map_or(true, |log| log.len() == 0);
    let escaped: String = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{escaped}{}", if alone { "?immutable=1" } else { "" });
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.set_prepared_statement_cache_capacity(64);
    let done: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match usize::try_from(done) {
        Ok(done) if done == MIGRATIONS.len() => Ok(connection),
        Ok(done) if done < MIGRATIONS.len() => Err(StoreError::Failed(format!(
            "{} was written by an older bulla, and is read-only: make it writable once, so that it can be brought up",
            path.display()
        ))),
        _ => Err(StoreError::Newer(path.display().to_string(), done)),
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let steps_done = |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    // Nothing is written where nothing is to be done: a store on a full disk can still be read.
    if steps_done(connection)? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: i64 = steps_done(&transaction)?;
    let steps = usize::try_from(done)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or_else(|| StoreError::Newer(path.display().to_string(), done))?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}
