//! The embedded store: SQLite in WAL mode. The only folder that speaks its dialect.

mod audit;
mod audit_numbering;
mod columns;
mod connection;
mod copy;
mod counts;
mod error;
mod escrow;
mod files;
mod followers;
mod foreign_wal;
mod idempotency;
mod imported;
mod keyring;
mod ledger;
mod mark;
mod migrations;
mod moved;
mod revocation;
mod revocation_rows;
mod seal_counts;
mod secret;
mod sweep;
mod transaction;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bulla::{
    ApiKeyId, Realm,
    keyring::{KeyringId, KeyringMemory},
};
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use self::{connection::Connections, files::Files, transaction::Writing};
use super::{
    ActiveCount, AuditEntry, Elsewhere, FollowerRow, FollowerStore, ImportedEnd, ImportedPart, KeyringMemories,
    LedgerEntry, LedgerFilter, LogPart, LogPlace, Migration, RevokedPage, SealCounts, SecretChanges, SecretRow,
    SecretSample, SetCount, Short, Store, StoreError, StoredSet, Sweep, Transaction, copy::Source,
};
use crate::{input::regular_file, last_used::Use};

pub(super) struct SqliteStore {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Apart, so that no look-up waits for a disk that is being written.
    reader: Mutex<Connection>,
    /// Apart, so that no long query delays a revocation.
    log: Mutex<Connection>,
    /// Apart, so that a count over a million keys blocks nobody.
    counter: Mutex<Connection>,
    /// Whether all were opened read-only.
    read_only: AtomicBool,
    files: RwLock<Files>,
}

impl SqliteStore {
    /// Opens the store, also one that moved.
    pub(super) fn open_source(path: &Path, create: bool) -> Result<Self, StoreError> {
        if !create {
            connection::check_present(path, path.try_exists())?;
        }
        if create {
            create_private(path)?;
        }
        let read_only = !create && !connection::is_writable(path);
        if read_only {
            // SQLite would not say why it cannot open it.
            connection::check_present(path, regular_file::open_to_read(path).map(|_| true))?;
        }
        let (connections, files) = open(path, read_only)?;
        if read_only {
            tracing::warn!(path = %path.display(), "store is read-only: keys are verified, nothing can be changed");
        }
        let Connections { writer, reader, log, counter } = connections;
        Ok(SqliteStore {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            log: Mutex::new(log),
            counter: Mutex::new(counter),
            read_only: AtomicBool::new(read_only),
            files: RwLock::new(files),
        })
    }

    fn reader(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.look_again();
        self.files(Files::readable)?;
        Ok(lock(&self.reader))
    }

    /// For counts over the whole ledger.
    fn counter(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.look_again();
        self.files(Files::readable)?;
        Ok(lock(&self.counter))
    }

    /// For followers: fails where the file is not the one that other processes write, and where the store moved.
    fn log(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.look_again();
        self.files(Files::ours)?;
        let log = lock(&self.log);
        moved::refuse(&log, &self.path)?;
        Ok(log)
    }

    fn files<T>(&self, look: impl FnOnce(&Files) -> T) -> T {
        look(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reopens a read-only store once it can be written: from then on other processes may write.
    fn look_again(&self) {
        if !self.read_only.load(Ordering::Acquire) || !connection::is_writable(&self.path) {
            return;
        }
        let (mut writer, mut reader) = (lock(&self.writer), lock(&self.reader));
        let (mut log, mut counter) = (lock(&self.log), lock(&self.counter));
        if !self.read_only.load(Ordering::Acquire) || self.files(Files::ours).is_err() {
            return;
        }
        if let Ok((connections, files)) = open(&self.path, false) {
            Connections { writer: *writer, reader: *reader, log: *log, counter: *counter } = connections;
            *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
            self.read_only.store(false, Ordering::Release);
            tracing::info!(path = %self.path.display(), "store can be written again");
        }
    }

    fn write_even_moved<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.look_again();
        // A panic leaves no half transaction behind: dropping it rolled it back.
        let mut connection = lock(&self.writer);
        self.files(Files::ours)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // No other process writes now.
        self.files(|files| files.check_content(&|| mark::read(&transaction).ok().flatten()))?;
        let cookie = mark::cookie(&transaction)?;
        let worked = work(&transaction)?;
        mark::renew(&transaction, cookie)?;
        transaction.commit()?;
        // A write to a file that was removed is lost.
        self.files(Files::ours)?;
        Ok(worked)
    }

    /// Repeats `work`, which is told how many rows to drop at most, until it drops fewer.
    fn in_portions(&self, work: impl Fn(&Connection, u32) -> Result<usize, StoreError>) -> Result<(), StoreError> {
        while self.write(|connection| work(connection, sweep::PORTION))? >= sweep::PORTION as usize {
            std::thread::sleep(sweep::BREAK);
        }
        Ok(())
    }
}

impl Drop for SqliteStore {
    /// The last connection to close moves the log into the database, unless that is another state of it.
    fn drop(&mut self) {
        let _told_before = Store::check_files(self);
        let sound = self.read_only.load(Ordering::Acquire) || self.files(Files::may_be_closed);
        for connection in [&self.writer, &self.reader, &self.log, &self.counter] {
            let _by_default = connection::checkpoint_on_close(&lock(connection), sound);
        }
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the store at the path, and notes its files.
fn open(path: &Path, read_only: bool) -> Result<(Connections, Files), StoreError> {
    let before = files::identity(path);
    let connections = Connections::open(path, read_only)?;
    let files = Files::opened(path, before, read_only)?;
    Ok((connections, files))
}

/// The ledger is private; SQLite would follow the umask.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    regular_file::open(path, &mut options)
        .map(drop)
        .map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))
}

impl Store for SqliteStore {
    fn transaction(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.write(|connection| work(&mut Writing(connection)))
    }

    fn expect_many_rows(&self) -> Result<(), StoreError> {
        connection::expect_many_rows(&lock(&self.writer))
    }

    fn check_files(&self) -> Result<(), StoreError> {
        self.files(Files::ours)?;
        let log = lock(&self.log);
        self.files(|files| files.check_content(&|| mark::read(&log).ok().flatten()))
    }

    fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self.counter()?.query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    fn list(&self, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        ledger::list(&*self.reader()?, filter)
    }

    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        ledger::find(&*self.reader()?, id)
    }

    fn active_counts(&self, now: Timestamp) -> Result<Vec<ActiveCount>, StoreError> {
        counts::active(&*self.counter()?, now)
    }

    fn count_active_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError> {
        counts::active_issued_before(&*self.counter()?, (app_id, realm), before, now)
    }

    fn count_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        counts::issued_before(&*self.counter()?, app_id, realm, before)
    }

    fn rules_behind(&self, after: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
        counts::rules_behind(&*self.reader()?, after)
    }

    fn has_realm(&self, realm: Realm) -> Result<bool, StoreError> {
        counts::has_realm(&*self.reader()?, realm)
    }

    fn seal_counts(&self) -> Result<SealCounts, StoreError> {
        seal_counts::seal_counts(&*self.reader()?)
    }

    fn revocations_after(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
        // The rows and the latest number must be of one moment.
        let mut log = self.log()?;
        let transaction = log.transaction()?;
        revocation_rows::after(&transaction, seq, limit)
    }

    fn still_damaged(&self, rows: &[u64]) -> Result<Vec<u64>, StoreError> {
        revocation_rows::still_damaged(&*self.log()?, rows)
    }

    fn revoked_page(
        &self,
        after: i64,
        limit: u32,
        expired_before: Timestamp,
        all: bool,
    ) -> Result<RevokedPage, StoreError> {
        sweep::revoked_page(&*self.reader()?, after, limit, expired_before, all)
    }

    fn remember_sweep_clock(&self, at: Timestamp) -> Result<(), StoreError> {
        self.write(|connection| sweep::remember_clock(connection, at))
    }

    fn sweep_clock(&self) -> Result<u64, StoreError> {
        sweep::clock(&*self.reader()?)
    }

    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        audit::after(&*self.reader()?, seq, limit)
    }

    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        secret::of(&*self.reader()?, id, now)
    }

    fn secret_changes(&self, seq: u64) -> Result<SecretChanges, StoreError> {
        let mut log = self.log()?;
        let transaction = log.transaction()?;
        secret::changes(&transaction, seq)
    }

    fn secret_sample(&self, seq: u64, limit: u32) -> Result<SecretSample, StoreError> {
        secret::sample(&*self.reader()?, seq, limit)
    }

    fn without_secret(&self, realm: Realm, now: Timestamp) -> Result<u64, StoreError> {
        secret::without(&*self.counter()?, realm.as_str(), now)
    }

    fn keyring_memories(&self) -> Result<KeyringMemories, StoreError> {
        keyring::memories(&mut *self.reader()?)
    }

    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
        self.write(|connection| keyring::remember(connection, id, seen))
    }

    fn note_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.write(|connection| ledger::note_uses(connection, uses))
    }

    fn imported_sets(&self) -> Result<Vec<StoredSet>, StoreError> {
        imported::sets(&*self.reader()?)
    }

    fn imported_set_counts(&self) -> Result<Vec<SetCount>, StoreError> {
        imported::set_counts(&*self.counter()?)
    }

    fn imported_end(&self) -> Result<ImportedEnd, StoreError> {
        imported::end(&*self.reader()?)
    }

    fn imported_after(&self, place: i64, limit: u32) -> Result<ImportedPart, StoreError> {
        imported::after(&*self.reader()?, place, limit)
    }

    fn imported_elsewhere(&self, realm: Realm, set: i64) -> Result<Elsewhere, StoreError> {
        imported::elsewhere(&*self.counter()?, realm, set)
    }

    fn migrations(&self, realm: Option<Realm>, now: Timestamp) -> Result<Vec<Migration>, StoreError> {
        imported::migrations(&*self.counter()?, realm, now)
    }

    fn taken_over(&self, realm: Realm, limit: u32) -> Result<Vec<ApiKeyId>, StoreError> {
        imported::taken_over(&*self.reader()?, realm, limit)
    }

    fn settle(&self, now: Timestamp) -> Result<bool, StoreError> {
        // Looked at first on the reader, which blocks no writer: usually nothing is due.
        let due = sweep::is_anything_due(&*self.reader()?, now)?;
        if due {
            self.in_portions(|connection, limit| sweep::settle(connection, now, limit))?;
        }
        Ok(due)
    }

    fn sweep(&self, sweep: &Sweep<'_>) -> Result<(), StoreError> {
        self.settle(sweep.now)?;
        self.in_portions(|connection, limit| sweep::sweep(connection, sweep, limit))
    }

    fn as_source(&self) -> &dyn Source {
        self
    }
}

impl FollowerStore for SqliteStore {
    fn log_end(&self) -> Result<LogPlace, StoreError> {
        followers::log_end(&*self.log()?)
    }

    fn followers(&self, after: &str, limit: u32, heard_after: Timestamp) -> Result<Vec<FollowerRow>, StoreError> {
        followers::list(&*self.reader()?, after, limit, heard_after)
    }

    fn followers_short_of(
        &self,
        log_id: &str,
        seq: u64,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Short, StoreError> {
        let mut reader = self.reader()?;
        let transaction = reader.transaction()?;
        followers::short_of(&transaction, log_id, seq, limit, heard_after)
    }

    fn follower_owners(&self, names: &[String], heard_after: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
        followers::owners(&*self.reader()?, names, heard_after)
    }

    fn followers_of(&self, owner: &str, heard_after: Timestamp) -> Result<u64, StoreError> {
        followers::count_of(&*self.reader()?, owner, heard_after)
    }

    fn note_followers(&self, rows: &[FollowerRow], heard_after: Timestamp) -> Result<(), StoreError> {
        self.write(|connection| followers::note(connection, rows, heard_after))
    }

    fn remove_follower(&self, name: &str, owner: &str, instance: &str) -> Result<(), StoreError> {
        self.write(|connection| followers::remove(connection, name, owner, instance))
    }

    fn doubled_followers(&self, limit: u32, heard_after: Timestamp) -> Result<Vec<String>, StoreError> {
        followers::doubled(&*self.reader()?, limit, heard_after)
    }

    fn drop_followers_of_revoked(&self, now: Timestamp) -> Result<u64, StoreError> {
        // Most often there is nothing to write.
        if !followers::has_revoked(&*self.reader()?, now)? {
            return Ok(0);
        }
        self.write(|connection| followers::drop_revoked(connection, now))
    }

    fn drop_followers(&self, heard_after: Timestamp) -> Result<(), StoreError> {
        if followers::has_silent(&*self.reader()?, heard_after)? {
            self.write(|connection| followers::drop_silent(connection, heard_after))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod checkpoint_tests;

#[cfg(test)]
mod crash_tests;

#[cfg(test)]
mod exchange_tests;
