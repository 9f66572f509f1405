//! The store: ledger, revocations, audit and remembered answers, off the verify path. It holds no API key, except
//! encrypted to the recipient of a realm with escrow. Each kind of store has one folder for its SQL and its files.

mod audit;
mod copy;
mod error;
mod escrow;
mod follow;
mod followers;
mod idempotency;
mod imported;
mod keyring;
mod ledger;
mod moved;
mod postgres;
mod remark;
mod revocation;
mod revocation_kind;
mod rows;
mod seal_budget;
mod secret;
mod sqlite;

use std::{path::Path, sync::Arc, time::Duration};

use bulla::{
    ApiKeyId, Realm,
    keyring::{KeyringId, KeyringMemory},
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    config::{StoreConfig, StoreUrl},
    imported::KeyLayout,
    last_used::Use,
};

pub(crate) use self::{
    audit::{AuditEntry, AuditRecord},
    copy::{copy, unmark},
    error::StoreError,
    escrow::EscrowRow,
    follow::LogTail,
    followers::{FollowerRow, FollowerStore, LogPlace, Role, Short},
    idempotency::IdempotentAnswer,
    imported::{
        Elsewhere, Fingerprint, Imported, ImportedEnd, ImportedPart, Migration, NewImported, RemovedSet, SetCount,
        StoredSet,
    },
    keyring::KeyringMemories,
    ledger::{ActiveCount, LedgerEntry, LedgerFilter, LedgerRow, Restrictions, State, UNDATED},
    remark::Remark,
    revocation::{DamagedRow, LogPart, Logged, LostEnd, LostRevocation, NewRevocation, RevokedPage},
    revocation_kind::audit_action,
    seal_budget::{SealCount, SealCounts, seal_budget, seal_warning},
    secret::{NewSecretRow, SecretChanges, SecretRow, SecretSample},
};

#[cfg(test)]
pub(crate) use self::copy::Source as CopySource;

/// What every store does.
pub(crate) trait Store: FollowerStore + Send + Sync {
    /// Lets `work` write in one transaction: after `Ok` all of it is durable, after an error nothing of it happened.
    fn transaction(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Says that many rows follow: where that saves work, their indexes are kept in memory.
    fn expect_many_rows(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Checks that what is open is still the store that others open, and was not overwritten. Each write checks it, too.
    fn check_files(&self) -> Result<(), StoreError>;

    /// The number of keys on record.
    fn count(&self) -> Result<u64, StoreError>;

    /// Keys on record, in the order in which they were recorded.
    fn list(&self, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError>;

    /// One key on record.
    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError>;

    /// How many keys on record are active at `now`, for each key version that has any. Rows of a version that cannot be
    /// are left out.
    fn active_counts(&self, now: Timestamp) -> Result<Vec<ActiveCount>, StoreError>;

    /// How many keys on record that are active at `now` a rule about this app or realm revokes, and how many of those are
    /// administrators'. Without a time `before`, the rule is about all of its keys.
    fn count_active_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError>;

    /// How many keys on record of this app or realm were issued before a time.
    fn count_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Rules that revoke keys issued before a time later than `after`: what each is about, and its time.
    fn rules_behind(&self, after: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError>;

    /// Returns whether any key of this realm is on record.
    fn has_realm(&self, realm: Realm) -> Result<bool, StoreError>;

    /// How many keys were sealed, for each realm and version. A damaged row is counted, and stops the reading of no
    /// other.
    fn seal_counts(&self) -> Result<SealCounts, StoreError>;

    /// At most `limit` entries of the revocation log with higher numbers than `seq`.
    fn revocations_after(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError>;

    /// The same for followers of the feed, who may be many: it holds up nobody who reads the log to put it in force.
    fn revocations_for_followers(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
        self.revocations_after(seq, limit)
    }

    /// Replaces the id of this log, which lost its end, so that everybody who follows it reads from the beginning, and gives no
    /// number up to `place` again. Nothing where another process did that before. `false` where a store cannot lose an end.
    fn begin_new_log(&self, _log_id: &str, _place: u64) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// What an administrator should know of how the store is set up.
    fn remarks(&self) -> Result<Vec<Remark>, StoreError> {
        Ok(Vec::new())
    }

    /// Waits, for `most` at the longest, until another process may have appended. Returns whether to read the log now.
    fn wait_for_news(&self, most: Duration) -> bool {
        std::thread::sleep(most);
        true
    }

    /// Why the log is polled although notifications are configured; `None` where nothing is wrong.
    fn why_polling(&self) -> Option<String> {
        None
    }

    /// The rows of the log, among these, that are still damaged.
    fn still_damaged(&self, rows: &[u64]) -> Result<Vec<u64>, StoreError>;

    /// Up to `limit` keys behind a place of the ledger that are revoked or suspended, and did not expire before
    /// `expired_before`: with `all` every one, otherwise those whose entries the log lost.
    fn revoked_page(
        &self,
        after: i64,
        limit: u32,
        expired_before: Timestamp,
        all: bool,
    ) -> Result<RevokedPage, StoreError>;

    /// The sweep clock as it was remembered last, in Unix seconds.
    fn sweep_clock(&self) -> Result<u64, StoreError>;

    /// Remembers the sweep clock, from which the next process continues.
    fn remember_sweep_clock(&self, at: Timestamp) -> Result<(), StoreError>;

    /// At most `limit` audit records with higher numbers than `seq`, in their order.
    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// The stored hashes of one key's secret half that are not retired at `now`, the newest first.
    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError>;

    /// Keys that got another secret half, or another hash of it, with higher numbers than `seq`.
    fn secret_changes(&self, seq: u64) -> Result<SecretChanges, StoreError>;

    /// Up to `limit` stored hashes with higher numbers than `seq`, for an integrity check.
    fn secret_sample(&self, seq: u64, limit: u32) -> Result<SecretSample, StoreError>;

    /// How many keys of a realm are active at `now` and have no secret half.
    fn without_secret(&self, realm: Realm, now: Timestamp) -> Result<u64, StoreError>;

    /// What is remembered of each keyring.
    fn keyring_memories(&self) -> Result<KeyringMemories, StoreError>;

    /// Remembers more of a keyring; nothing is forgotten.
    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError>;

    /// Adds uses of keys to the ledger. A count that is full stays so.
    fn note_uses(&self, uses: &[Use]) -> Result<(), StoreError>;

    /// The sets of imported keys.
    fn imported_sets(&self) -> Result<Vec<StoredSet>, StoreError>;

    /// The sets of imported keys, with what became of their keys.
    fn imported_set_counts(&self) -> Result<Vec<SetCount>, StoreError>;

    /// How far the table of imported keys goes.
    fn imported_end(&self) -> Result<ImportedEnd, StoreError>;

    /// Imported keys behind a place of the ledger, at most `limit` of them, in the order of their places.
    fn imported_after(&self, place: i64, limit: u32) -> Result<ImportedPart, StoreError>;

    /// Hashes and public parts of all imported keys that are not in this set of a realm.
    fn imported_elsewhere(&self, realm: Realm, set: i64) -> Result<Elsewhere, StoreError>;

    /// Progress of the migration from imported to sealed keys, for each realm.
    fn migrations(&self, realm: Option<Realm>, now: Timestamp) -> Result<Vec<Migration>, StoreError>;

    /// At most `limit` imported keys of a realm that are not revoked, and whose sealed replacements were used.
    fn taken_over(&self, realm: Realm, limit: u32) -> Result<Vec<ApiKeyId>, StoreError>;

    /// Makes final what has ended at `now`, whatever a clock says later: grace periods of revoked keys, and retired secret
    /// halves. Returns whether anything had ended.
    fn settle(&self, now: Timestamp) -> Result<bool, StoreError>;

    /// Drops what is no longer needed, and remembers the sweep clock.
    fn sweep(&self, sweep: &Sweep<'_>) -> Result<(), StoreError>;

    /// Its rows as they are, for a copy.
    fn as_source(&self) -> &dyn copy::Source;

    /// The same, of a store that may become a copy.
    fn as_target(&self) -> Option<&dyn copy::Target> {
        None
    }

    /// Lets `work` read, of this moment or a later one: what it read may have changed when a transaction begins.
    fn look(&self, work: &mut dyn FnMut(&dyn Transaction) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.transaction(&mut |transaction| work(transaction))
    }
}

/// What a sweep drops. All times are of the sweep clock, which a clock that is ahead for a while does not move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep<'a> {
    /// Now: the escrow of keys that ended is dropped.
    pub(crate) now: Timestamp,
    /// Revocations of keys that expired before this are dropped.
    pub(crate) expired_before: Timestamp,
    /// Revocations of keys of these versions are dropped, too, once they are that old: until then a process that has
    /// not loaded the keyring yet may read them.
    pub(crate) destroyed: &'a [u32],
    /// Answers older than this are dropped.
    pub(crate) answered_before: Timestamp,
}

/// The operations of one transaction.
pub(crate) trait Transaction {
    /// One key on record.
    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError>;

    /// What the log says of one id.
    fn logged(&self, id: &ApiKeyId) -> Result<Logged, StoreError>;

    /// Puts the revocation of an id in effect, whatever the clock says.
    fn put_in_effect(&mut self, id: &ApiKeyId) -> Result<(), StoreError>;

    /// The latest "issued before" of a rule for exactly this app, or every app, in this realm, or every realm.
    fn rule(&self, app_id: Option<Uuid>, realm: Option<Realm>) -> Result<Option<Timestamp>, StoreError>;

    /// The latest "issued before" of all rules that reach this app's keys in this realm, also those of every realm.
    fn latest_rule(&self, app_id: Uuid, realm: Realm) -> Result<Option<Timestamp>, StoreError>;

    /// The answer to this caller's request with this idempotency key.
    fn idempotent_answer(&self, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError>;

    /// Records an issued key. Fails where its realm and version would exceed `budget`.
    fn insert_api_key(&mut self, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError>;

    /// The set of this layout; a new one, with this key for its ids, where there is none.
    fn imported_set(&mut self, realm: Realm, layout: &KeyLayout, id_key: [u8; 16]) -> Result<StoredSet, StoreError>;

    /// Records an imported key, unless it is on record.
    fn insert_imported(&mut self, new: &NewImported) -> Result<Imported, StoreError>;

    /// Corrects an imported key that is on record: app, name, times, scopes, metadata and hash.
    fn correct_imported(&mut self, new: &NewImported) -> Result<(), StoreError>;

    /// Removes the keys of a set that did not end here, unless one of the set was used or replaced.
    fn remove_imported_set(&mut self, set: i64) -> Result<Option<RemovedSet>, StoreError>;

    /// Notes the sealed key that was issued for an imported one. `false` where one was issued before.
    fn replace_imported(&mut self, id: &ApiKeyId, by: &ApiKeyId) -> Result<bool, StoreError>;

    /// The stored hashes of one key's secret half that are not retired at `now`, the newest first.
    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError>;

    /// Stores the hash of a secret half.
    fn insert_secret(&mut self, row: &NewSecretRow) -> Result<(), StoreError>;

    /// Retires a stored hash at `at`, or at once. Returns whether it was there.
    fn retire_secret(&mut self, seq: u64, at: Option<Timestamp>) -> Result<bool, StoreError>;

    /// Replaces a hash with another one of the same secret half, if it is still as it was read, with the same end above all.
    /// Returns whether it did.
    fn replace_secret(&mut self, old: &SecretRow, new: &NewSecretRow) -> Result<bool, StoreError>;

    /// Stores an API key as it was encrypted to its escrow recipient.
    fn insert_escrow(&mut self, row: &EscrowRow) -> Result<(), StoreError>;

    /// The escrow of one key, unless it has ended at `now`.
    fn escrow(&self, id: &ApiKeyId, now: Timestamp) -> Result<Option<EscrowRow>, StoreError>;

    /// Stores the text that replaced the last 51 characters of a key in escrow.
    fn renew_escrow(&mut self, id: &ApiKeyId, ending: &str) -> Result<(), StoreError>;

    /// Ends the escrow of one key at `at`.
    fn end_escrow(&mut self, id: &ApiKeyId, at: Timestamp, now: Timestamp) -> Result<(), StoreError>;

    /// Appends to the revocation log, and drops the entries that this supersedes.
    fn append_revocation(&mut self, revocation: &NewRevocation) -> Result<(), StoreError>;

    /// The names of at most `limit` members that did not report that they read a format of the feed.
    fn followers_not_reading(
        &self,
        format: &str,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Vec<String>, StoreError>;

    /// Removes a member of the fleet. Returns whether there was one.
    fn forget_follower(&mut self, name: &str) -> Result<bool, StoreError>;

    /// Removes what this owner registered in the fleet. How many they were.
    fn forget_followers_of(&mut self, owner: &str) -> Result<u64, StoreError>;

    /// Appends to the audit.
    fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError>;

    /// Remembers an answer, for when the request is repeated.
    fn remember_answer(&mut self, caller: &str, key: &str, answer: &IdempotentAnswer) -> Result<(), StoreError>;
}

/// Runs `work` in one transaction of `store`; an error of its own undoes what it wrote.
pub(crate) fn transact<T, E: From<StoreError>>(
    store: &dyn Store,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, E>,
) -> Result<T, E> {
    let (mut work, mut worked) = (Some(work), None);
    let committed = store.transaction(&mut |transaction| {
        let Some(work) = work.take() else { return Err(StoreError::Aborted) };
        let outcome = work(transaction);
        let verdict = if outcome.is_ok() { Ok(()) } else { Err(StoreError::Aborted) };
        worked = Some(outcome);
        verdict
    });
    match (committed, worked) {
        (Ok(()), Some(outcome)) | (Err(StoreError::Aborted), Some(outcome)) => outcome,
        (Err(error), _) => Err(error.into()),
        (Ok(()), None) => Err(StoreError::Aborted.into()),
    }
}

/// Reads ahead of a transaction of `store`, which has to look again at what may have changed. Nobody waits for it.
pub(crate) fn look<T, E: From<StoreError>>(
    store: &dyn Store,
    work: impl Fn(&dyn Transaction) -> Result<T, E>,
) -> Result<T, E> {
    let mut worked = None;
    let looked = store.look(&mut |transaction| {
        worked = Some(work(transaction));
        Ok(())
    });
    looked?;
    worked.unwrap_or(Err(StoreError::Aborted.into()))
}

/// Opens the database that a copy is made in, or was begun in.
pub(crate) fn open_target(config: &StoreConfig, folder: &Path) -> Result<Arc<dyn Store>, StoreError> {
    match config.parsed().map_err(StoreError::Url)? {
        StoreUrl::Postgres(url) => Ok(Arc::new(postgres::PostgresStore::open_target(*url, config, folder)?)),
        StoreUrl::Sqlite(_) => {
            Err(StoreError::Url("a copy is made into PostgreSQL alone: copy a file of SQLite by `.backup`".to_owned()))
        }
    }
}

/// Opens a store that is to be copied, also one that moved.
pub(crate) fn open_source(config: &StoreConfig, folder: &Path) -> Result<Arc<dyn Store>, StoreError> {
    match config.parsed().map_err(StoreError::Url)? {
        StoreUrl::Sqlite(path) => Ok(Arc::new(sqlite::SqliteStore::open_source(&folder.join(path), false)?)),
        StoreUrl::Postgres(url) => Ok(Arc::new(postgres::PostgresStore::open_source(*url, config, folder)?)),
    }
}

/// Opens the store that the configuration names, relative to `folder`. It must exist unless `create`.
pub(crate) fn open(config: &StoreConfig, folder: &Path, create: bool) -> Result<Arc<dyn Store>, StoreError> {
    match config.parsed().map_err(StoreError::Url)? {
        StoreUrl::Sqlite(path) => {
            let path = folder.join(path);
            Ok(Arc::new(sqlite::SqliteStore::open(&path, create)?))
        }
        StoreUrl::Postgres(url) => Ok(Arc::new(postgres::PostgresStore::open(*url, config, folder, create)?)),
    }
}

#[cfg(test)]
mod contract;

#[cfg(test)]
#[path = "../../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the command use more of it")]
mod test_postgres;
