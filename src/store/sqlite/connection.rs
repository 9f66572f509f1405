//! Opens the database: to read and write, or read-only where nothing can be written.

use std::{fs::OpenOptions, io, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{files, foreign_wal, mark, migrations};
use crate::{input::regular_file, store::StoreError};

/// Page cache of the writer, in KiB: with SQLite's usual 2,000 a transaction of thousands of rows writes the same index
/// pages again and again.
const CACHE_KIB: i64 = 64 * 1024;

/// The same while many rows are imported: room for the indexes of a million.
const MANY_ROWS_CACHE_KIB: i64 = 128 * 1024;
/// Pages in the log, 128 MiB, from which on they are moved into the database then: a page of an index that changes in
/// each transaction is moved once for several of them. By default these are 1,000, which each transaction exceeds.
const MANY_ROWS_LOG: i64 = 32 * 1024;

/// How long a writer waits for another process's transaction, and how often it polls: SQLite's own handler polls every
/// 100 ms, and misses the gaps between many short transactions.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_POLL: Duration = Duration::from_millis(2);

/// Returns whether the database can be written.
pub(super) fn is_writable(path: &Path) -> bool {
    let writable =
        |error: io::Error| !matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied);
    regular_file::open(path, OpenOptions::new().append(true)).map_or_else(writable, |_| true)
}

/// Tells a store that this user may not read from one that is missing.
pub(super) fn check_present(path: &Path, found: io::Result<bool>) -> Result<(), StoreError> {
    match found {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(StoreError::Denied(path.display().to_string()))
        }
        Ok(false) => Err(StoreError::Missing(path.display().to_string())),
        Err(error) => Err(StoreError::Failed(format!("{}: {error}", path.display()))),
    }
}

/// The connections to one store.
pub(super) struct Connections {
    pub(super) writer: Connection,
    /// Only reads.
    pub(super) reader: Connection,
    /// Only reads the revocation log, and what else must be in force at once.
    pub(super) log: Connection,
    /// Only counts over the whole ledger, which may take seconds.
    pub(super) counter: Connection,
}

impl Connections {
    /// Opens the store at this path, after it checked that the write-ahead log belongs to it.
    pub(super) fn open(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        files::refuse_foreign_log(path)?;
        let opened = if read_only { Self::to_read(path) } else { Self::to_write(path) };
        opened.map_err(|error| match error {
            StoreError::Failed(message) => StoreError::Failed(format!("{}: {message}", path.display())),
            error => error,
        })
    }

    fn to_read(path: &Path) -> Result<Self, StoreError> {
        Ok(Connections { writer: reading(path)?, reader: reading(path)?, log: reading(path)?, counter: reading(path)? })
    }

    fn to_write(path: &Path) -> Result<Self, StoreError> {
        let mut writer = writing(path)?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "cache_size", -CACHE_KIB)?;
        migrations::migrate(&mut writer, path)?;
        let [reader, log, counter] = [writing(path)?, writing(path)?, writing(path)?];
        for only_reads in [&reader, &log, &counter] {
            only_reads.pragma_update(None, "query_only", true)?;
        }
        let connections = Connections { writer, reader, log, counter };
        // Now SQLite has all of its files open, and each connection has seen the mark.
        for connection in connections.all() {
            mark::read(connection)?;
        }
        Ok(connections)
    }

    /// All connections.
    pub(super) fn all(&self) -> [&Connection; 4] {
        [&self.writer, &self.reader, &self.log, &self.counter]
    }
}

/// Makes room for the indexes of many rows.
pub(super) fn expect_many_rows(writer: &Connection) -> Result<(), StoreError> {
    writer.pragma_update(None, "cache_size", -MANY_ROWS_CACHE_KIB)?;
    // It answers with the number.
    Ok(writer.query_row(&format!("PRAGMA wal_autocheckpoint = {MANY_ROWS_LOG}"), [], |_| Ok(()))?)
}

/// Returns whether the last connection moves the log into the database when it is closed.
pub(super) fn checkpoint_on_close(connection: &Connection, moves: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !moves).map(drop)
}

fn writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let polls = BUSY_TIMEOUT.as_millis() / BUSY_POLL.as_millis();
    connection.busy_handler(Some(move |polled: i32| {
        std::thread::sleep(BUSY_POLL);
        u128::try_from(polled).is_ok_and(|polled| polled < polls)
    }))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a read-only store. A log that a stopped writer left beside it is part of it. Without a log the file never
/// changes: SQLite has to know, since it could not lock anything there.
fn reading(path: &Path) -> Result<Connection, StoreError> {
    let database = files::resolved(path);
    let log = foreign_wal::beside(&database, "-wal");
    let connection = if log.metadata().map_or(true, |log| log.len() == 0) {
        foreign_wal::immutable(&database)?
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(foreign_wal::uri(&database), flags)?
    };
    connection.set_prepared_statement_cache_capacity(64);
    migrations::check(&connection, path)?;
    Ok(connection)
}
