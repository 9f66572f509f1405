//! Opening the file: as a rule to read and write, and where nothing can be written, to read what is there.

use std::{fs::OpenOptions, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{files, mark, migrations, wal};
use crate::store::StoreError;

/// KiB of pages that the writer keeps at most: with the usual 2,000 a transaction of thousands of rows writes the same pages
/// of an index again and again.
const CACHE_KIB: i64 = 64 * 1024;

/// How long a writer waits for another process's transaction, and how often it looks whether that has ended: SQLite's own
/// handler comes to look every 100 ms, and never meets the gap between two of many short transactions.
const BUSY: Duration = Duration::from_secs(10);
const BUSY_LOOK: Duration = Duration::from_millis(2);

/// Whether file and folder can be written: SQLite keeps files beside its own.
pub(super) fn is_writable(path: &Path) -> bool {
    let writable = |error: std::io::Error| {
        !matches!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied)
    };
    OpenOptions::new().append(true).open(path).map_or_else(writable, |_| true)
}

/// The connections to one store.
pub(super) struct Connections {
    pub(super) writer: Connection,
    /// Only reads.
    pub(super) reader: Connection,
    /// Only reads the log of revocations and what else has to be in force at once.
    pub(super) log: Connection,
    /// Only reads what goes over the whole ledger and may take seconds.
    pub(super) counter: Connection,
}

impl Connections {
    /// Opens the store at this path, which must not be touched before its write-ahead log was found to be its own.
    pub(super) fn open(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        files::refuse_foreign_log(path)?;
        let opened = if read_only { Self::to_read(path) } else { Self::to_write(path) };
        opened.map_err(|error| match error {
            StoreError::Failed(told) => StoreError::Failed(format!("{}: {told}", path.display())),
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
        // From here on SQLite has all of its files open, and knows which mark was there.
        for connection in connections.all() {
            mark::read(connection)?;
        }
        Ok(connections)
    }

    /// Every one of them.
    pub(super) fn all(&self) -> [&Connection; 4] {
        [&self.writer, &self.reader, &self.log, &self.counter]
    }
}

/// Whether the last connection moves the log into the database when it is closed.
pub(super) fn checkpoint_on_close(connection: &Connection, moves: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !moves).map(drop)
}

fn writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let looks = BUSY.as_millis() / BUSY_LOOK.as_millis();
    connection.busy_handler(Some(move |looked: i32| {
        std::thread::sleep(BUSY_LOOK);
        u128::try_from(looked).is_ok_and(|looked| looked < looks)
    }))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What a stopped writer has left in the log beside the file is part of it. Without one the file is all there is, and nobody
/// changes it: SQLite is told so, since it could not lock anything there.
fn reading(path: &Path) -> Result<Connection, StoreError> {
    let database = files::resolved(path);
    let log = wal::beside(&database, "-wal");
    let connection = if log.metadata().map_or(true, |log| log.len() == 0) {
        wal::immutable(&database)?
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(wal::uri(&database), flags)?
    };
    connection.set_prepared_statement_cache_capacity(64);
    migrations::check(&connection, path)?;
    Ok(connection)
}
