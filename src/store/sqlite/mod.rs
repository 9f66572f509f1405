//! The embedded store: SQLite in WAL mode. The only folder that speaks its dialect.

mod audit;
mod keyring;
mod ledger;
mod revocation;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulla::{ApiKeyId, KeyringId, KeyringMemory, Realm, RevocationEvent};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use super::{
    Answered, AuditEntry, AuditRecord, LedgerEntry, LedgerFilter, LedgerRow, NewRevocation, SealCount, Store,
    StoreError, Transaction, Used,
};

/// The schema's steps; a store counts in `user_version` how many it has.
const MIGRATIONS: [&str; 2] = [include_str!("../schema-1.sql"), include_str!("../schema-2.sql")];

/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

pub(super) struct SqliteStore {
    writer: Mutex<Connection>,
    /// Apart, so that nobody who looks something up waits for a disk that is being written.
    reader: Mutex<Connection>,
}

impl SqliteStore {
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        if !create && !path.exists() {
            return Err(StoreError::Missing(name));
        }
        if create {
            create_private(path)?;
        }
        let mut writer = connect(path)?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut writer, &name)?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(SqliteStore { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half transaction behind: dropping it rolled it back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.writer();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let worked = work(&transaction)?;
        transaction.commit()?;
        Ok(worked)
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Ledger rows are nobody else's business; SQLite would follow the umask.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))
}

fn migrate(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
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
        .ok_or_else(|| StoreError::Newer(name.to_owned(), done))?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}

impl Store for SqliteStore {
    fn transaction(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.write(|connection| work(&mut Writing(connection)))
    }

    fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self.reader().query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    fn list(&self, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        ledger::list(&self.reader(), filter)
    }

    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        ledger::find(&self.reader(), id)
    }

    fn seal_counts(&self) -> Result<Vec<SealCount>, StoreError> {
        ledger::seal_counts(&self.reader())
    }

    fn log_id(&self) -> Result<String, StoreError> {
        Ok(self.reader().query_row("SELECT log_id FROM revocation_log", [], |row| row.get(0))?)
    }

    fn revocations_after(&self, seq: u64, limit: u32) -> Result<Vec<RevocationEvent>, StoreError> {
        revocation::after(&self.reader(), seq, limit)
    }

    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        audit::after(&self.reader(), seq, limit)
    }

    fn keyring_memories(&self) -> Result<HashMap<KeyringId, KeyringMemory>, StoreError> {
        keyring::memories(&mut self.reader())
    }

    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
        self.write(|connection| keyring::remember(connection, id, seen))
    }

    fn note_uses(&self, uses: &[Used]) -> Result<(), StoreError> {
        self.write(|connection| ledger::note_uses(connection, uses))
    }

    fn sweep(
        &self,
        expired_before: Timestamp,
        destroyed: &[u32],
        answered_before: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|connection| {
            revocation::sweep(connection, expired_before, destroyed)?;
            audit::sweep(connection, answered_before)
        })
    }
}

/// A transaction that has begun.
struct Writing<'a>(&'a Connection);

impl Transaction for Writing<'_> {
    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        ledger::find(self.0, id)
    }

    fn taken_back(&self, id: &ApiKeyId) -> Result<(Option<Timestamp>, Option<Timestamp>), StoreError> {
        revocation::taken_back(self.0, id)
    }

    fn rule(&self, app_id: Option<Uuid>, realm: Option<Realm>) -> Result<Option<Timestamp>, StoreError> {
        revocation::rule(self.0, app_id, realm)
    }

    fn answered(&self, caller: &str, key: &str) -> Result<Option<Answered>, StoreError> {
        audit::answered(self.0, caller, key)
    }

    fn insert_api_key(&mut self, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError> {
        ledger::insert(self.0, row, budget)
    }

    fn append_revocation(&mut self, revocation: &NewRevocation) -> Result<(), StoreError> {
        revocation::append(self.0, revocation)
    }

    fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        audit::append(self.0, record)
    }

    fn remember_answer(&mut self, caller: &str, key: &str, answered: &Answered) -> Result<(), StoreError> {
        audit::remember(self.0, caller, key, answered)
    }
}

fn damaged(what: &str, row: i64) -> StoreError {
    StoreError::Failed(format!("row {row} of {what} is damaged: restore the store from a backup"))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Failed("the disk is full: free space and try again".to_owned()),
            Some(ErrorCode::ReadOnly) => {
                StoreError::Failed("it is read-only: check the file's mode and owner, and the mount".to_owned())
            }
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
