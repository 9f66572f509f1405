//! The store in PostgreSQL, which many nodes share. The only folder that speaks its dialect.
//!
//! All names stand in the schema `bulla`, and every statement names it: a pooler gives a connection to many clients,
//! whose settings are not ours.

mod audit;
mod audit_numbering;
mod copy;
mod counts;
mod era;
mod error;
mod escrow;
mod followers;
mod idempotency;
mod imported;
mod keyring;
mod ledger;
mod migrations;
mod moved;
mod notifications;
mod params;
mod pool;
mod remarks;
mod revocation;
mod revocation_rows;
mod seal_counts;
mod secret;
mod server;
mod session;
mod store_row;
mod sweep;
mod tls;
mod transaction;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bulla::{
    ApiKeyId, Realm,
    keyring::{KeyringId, KeyringMemory},
};
use jiff::Timestamp;
use uuid::Uuid;

use self::{
    notifications::Subscription,
    pool::{Lane, Pool},
    server::Server,
    session::Session,
    store_row::{Mark, Numbers},
    transaction::Writing,
};
use super::{
    ActiveCount, AuditEntry, Elsewhere, ImportedEnd, ImportedPart, KeyringMemories, LedgerEntry, LedgerFilter, LogPart,
    Migration, Remark, RevokedPage, SealCounts, SecretChanges, SecretRow, SecretSample, SetCount, Store, StoreError,
    StoredSet, Sweep, Transaction,
    copy::{Source, Target},
};
use crate::{
    config::{PostgresUrl, StoreConfig},
    last_used::Use,
};

pub(super) struct PostgresStore {
    pool: Arc<Pool>,
    /// Where notifications come from.
    listen: Arc<Server>,
    /// For a service, which waits for news.
    news: OnceLock<Subscription>,
    /// What identifies the opened store.
    mark: Mark,
    /// Its URL, as the configuration has it.
    url: String,
    /// How each transaction begins.
    begin: String,
}

impl PostgresStore {
    /// Opens the store, whose paths start at `folder`; its schema is made if `create`.
    pub(super) fn open(
        url: PostgresUrl,
        config: &StoreConfig,
        folder: &Path,
        create: bool,
    ) -> Result<Self, StoreError> {
        let store = Self::connect(url, config, folder, create)?;
        store.read(Lane::Log, |session| store.mark.check(session))?;
        Ok(store)
    }

    /// Opens a store to copy it, also one that moved.
    pub(super) fn open_source(url: PostgresUrl, config: &StoreConfig, folder: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(url, config, folder, false)?;
        match store.check_files() {
            Ok(()) | Err(StoreError::Moved { .. }) => Ok(store),
            Err(error) => Err(error),
        }
    }

    /// Opens the database that a copy is made in, or was begun in.
    pub(super) fn open_target(url: PostgresUrl, config: &StoreConfig, folder: &Path) -> Result<Self, StoreError> {
        Self::connect(url, config, folder, true)
    }

    fn connect(url: PostgresUrl, config: &StoreConfig, folder: &Path, create: bool) -> Result<Self, StoreError> {
        let shown = url.clone();
        let listen = config.listens_at().map_err(StoreError::Url)?.unwrap_or_else(|| url.clone());
        let listen = Arc::new(Server::new(listen, config, folder)?);
        let pool = Arc::new(Pool::new(Server::new(url, config, folder)?, config.connections));
        let mark = pool.run(
            Lane::Log,
            |_| Ok(()),
            |session, ()| {
                migrations::migrate(session, &shown, create)?;
                Mark::read(session)
            },
        )?;
        // A transaction whose node stands still holds the lock that all nodes wait for.
        let limit = config.statement_timeout.0.as_millis();
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = {limit}; \
             SET LOCAL idle_in_transaction_session_timeout = {limit}"
        );
        Ok(PostgresStore { pool, listen, news: OnceLock::new(), mark, url: config.url.clone(), begin })
    }

    /// Reads on a connection of this kind; again on another one where the first one turns out to be lost.
    fn read<T>(&self, lane: Lane, work: impl Fn(&Session) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.pool.run(lane, work, |_, read| Ok(read))
    }

    fn write<T>(&self, work: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.pool.run(
            Lane::Write,
            |session| self.mark.begin(session, &self.begin),
            |session, numbers| {
                let mut writing = Writing::new(session, numbers);
                match work(&mut writing) {
                    Ok(worked) => writing.end(Ok(())).map(|()| worked),
                    Err(error) => {
                        writing.end(Err(StoreError::Aborted)).err();
                        Err(error)
                    }
                }
            },
        )
    }
}

impl Store for PostgresStore {
    fn transaction(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.write(|writing| work(writing))
    }

    fn check_files(&self) -> Result<(), StoreError> {
        self.read(Lane::Log, |session| self.mark.check(session))
    }

    fn count(&self) -> Result<u64, StoreError> {
        self.read(Lane::Count, |session| {
            Ok(counts::count(&session.only("SELECT count(*) FROM bulla.api_keys", &[])?, 0))
        })
    }

    fn list(&self, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        self.read(Lane::Read, |session| ledger::list(session, filter))
    }

    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        self.read(Lane::Read, |session| ledger::find(session, id))
    }

    fn active_counts(&self, now: Timestamp) -> Result<Vec<ActiveCount>, StoreError> {
        self.read(Lane::Count, |session| counts::active(session, now))
    }

    fn count_active_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError> {
        self.read(Lane::Count, |session| counts::active_issued_before(session, (app_id, realm), before, now))
    }

    fn count_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        self.read(Lane::Count, |session| counts::issued_before(session, app_id, realm, before))
    }

    fn rules_behind(&self, after: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(Lane::Read, |session| counts::rules_behind(session, after))
    }

    fn has_realm(&self, realm: Realm) -> Result<bool, StoreError> {
        self.read(Lane::Read, |session| counts::has_realm(session, realm))
    }

    fn seal_counts(&self) -> Result<SealCounts, StoreError> {
        self.read(Lane::Read, seal_counts::seal_counts)
    }

    fn revocations_after(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
        self.read(Lane::Log, |session| revocation_rows::after(session, &self.mark, seq, limit))
    }

    fn revocations_for_followers(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
        self.read(Lane::Read, |session| revocation_rows::after(session, &self.mark, seq, limit))
    }

    fn begin_new_log(&self, log_id: &str, place: u64) -> Result<bool, StoreError> {
        self.write(|writing| era::begin_new_log(writing, log_id, place)).map(|()| true)
    }

    fn wait_for_news(&self, most: Duration) -> bool {
        self.news.get_or_init(|| Subscription::new(&self.listen, &self.pool)).wait(most)
    }

    fn why_polling(&self) -> Option<String> {
        self.news.get().and_then(|news| news.why_polling())
    }

    fn remarks(&self) -> Result<Vec<Remark>, StoreError> {
        let mut remarks = self.read(Lane::Read, remarks::of_failover)?;
        remarks.extend(self.read(Lane::Read, remarks::of_audit)?);
        remarks.push(notifications::remark(&self.listen, &self.pool));
        Ok(remarks)
    }

    fn still_damaged(&self, rows: &[u64]) -> Result<Vec<u64>, StoreError> {
        self.read(Lane::Log, |session| revocation_rows::still_damaged(session, rows))
    }

    fn revoked_page(
        &self,
        after: i64,
        limit: u32,
        expired_before: Timestamp,
        all: bool,
    ) -> Result<RevokedPage, StoreError> {
        self.read(Lane::Read, |session| sweep::revoked_page(session, after, limit, expired_before, all))
    }

    fn remember_sweep_clock(&self, at: Timestamp) -> Result<(), StoreError> {
        self.write(|writing| sweep::remember_clock(writing.writes(), at))
    }

    fn sweep_clock(&self) -> Result<u64, StoreError> {
        self.read(Lane::Read, sweep::clock)
    }

    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(Lane::Read, |session| audit::after(session, seq, limit))
    }

    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        self.read(Lane::Read, |session| secret::of(session, id, now))
    }

    fn secret_changes(&self, seq: u64) -> Result<SecretChanges, StoreError> {
        self.read(Lane::Log, |session| secret::changes(session, &self.mark, seq))
    }

    fn secret_sample(&self, seq: u64, limit: u32) -> Result<SecretSample, StoreError> {
        self.read(Lane::Read, |session| secret::sample(session, seq, limit))
    }

    fn without_secret(&self, realm: Realm, now: Timestamp) -> Result<u64, StoreError> {
        self.read(Lane::Count, |session| secret::without(session, realm.as_str(), now))
    }

    fn keyring_memories(&self) -> Result<KeyringMemories, StoreError> {
        self.read(Lane::Read, keyring::memories)
    }

    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
        self.write(|writing| keyring::remember(writing.writes(), id, seen))
    }

    fn note_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        // Without the lock: uses have no number, and many nodes write them.
        self.pool.run(Lane::Read, |session| self.mark.check(session), |session, ()| ledger::note_uses(session, uses))
    }

    fn imported_sets(&self) -> Result<Vec<StoredSet>, StoreError> {
        self.read(Lane::Read, imported::sets)
    }

    fn imported_set_counts(&self) -> Result<Vec<SetCount>, StoreError> {
        self.read(Lane::Count, imported::set_counts)
    }

    fn imported_end(&self) -> Result<ImportedEnd, StoreError> {
        self.read(Lane::Read, imported::end)
    }

    fn imported_after(&self, place: i64, limit: u32) -> Result<ImportedPart, StoreError> {
        self.read(Lane::Read, |session| imported::after(session, place, limit))
    }

    fn imported_elsewhere(&self, realm: Realm, set: i64) -> Result<Elsewhere, StoreError> {
        self.read(Lane::Count, |session| imported::elsewhere(session, realm, set))
    }

    fn migrations(&self, realm: Option<Realm>, now: Timestamp) -> Result<Vec<Migration>, StoreError> {
        self.read(Lane::Count, |session| imported::migrations(session, realm, now))
    }

    fn taken_over(&self, realm: Realm, limit: u32) -> Result<Vec<ApiKeyId>, StoreError> {
        self.read(Lane::Read, |session| imported::taken_over(session, realm, limit))
    }

    fn settle(&self, now: Timestamp) -> Result<bool, StoreError> {
        // Looked at first without the lock: usually nothing is due.
        let due = self.read(Lane::Read, |session| sweep::is_anything_due(session, now))?;
        if due {
            self.write(|writing| sweep::settle(writing, now))?;
        }
        Ok(due)
    }

    fn sweep(&self, sweep: &Sweep<'_>) -> Result<(), StoreError> {
        self.write(|writing| sweep::sweep(writing, sweep))
    }

    fn as_source(&self) -> &dyn Source {
        self
    }

    fn as_target(&self) -> Option<&dyn Target> {
        Some(self)
    }

    fn look(&self, work: &mut dyn FnMut(&dyn Transaction) -> Result<(), StoreError>) -> Result<(), StoreError> {
        // Without the lock, and each statement for itself.
        let looking = |session: &Session| Ok(session.is_usable());
        self.pool.run(Lane::Read, looking, |session, _| work(&Writing::new(session, Numbers::default())))
    }
}

#[cfg(test)]
mod notify_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;
