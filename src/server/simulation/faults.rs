//! A store that fails when it is told to, before or after it wrote, and that lets another process in between two of its
//! calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulla::{
    ApiKeyId, Realm,
    keyring::{KeyringId, KeyringMemory},
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    last_used::Use,
    store::{
        ActiveCount, AuditEntry, Elsewhere, FollowerRow, FollowerStore, ImportedEnd, ImportedPart, KeyringMemories,
        LedgerEntry, LedgerFilter, LogPart, LogPlace, Migration, RevokedPage, SealCounts, SecretChanges, SecretRow,
        SecretSample, SetCount, Short, Store, StoreError, StoredSet, Sweep, Transaction,
    },
};

/// What one process's store does wrong.
#[derive(Default)]
pub(in crate::server) struct Faults(Mutex<Plan>);

#[derive(Default)]
struct Plan {
    /// Calls until then, and what happens.
    fault: Option<(usize, Fault)>,
    /// Calls until then, and what another process does before the call.
    intruder: Option<(usize, Intruder)>,
    /// A fault happened since somebody asked.
    happened: bool,
    /// The process died with the fault: nothing works from then on.
    dead: bool,
}

/// What another process does.
pub(in crate::server) type Intruder = Box<dyn FnOnce() + Send>;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::server) struct Fault {
    /// The write succeeds, and nobody hears of it.
    pub(in crate::server) written: bool,
    /// The process dies.
    pub(in crate::server) dies: bool,
}

impl Faults {
    /// The call after `calls` more fails.
    pub(in crate::server) fn plan(&self, calls: usize, fault: Fault) {
        self.lock().fault = Some((calls, fault));
    }

    /// Before the call after `calls` more `intruder` acts.
    pub(in crate::server) fn intrude(&self, calls: usize, intruder: Intruder) {
        self.lock().intruder = Some((calls, intruder));
    }

    /// Returns whether anything went wrong in this step.
    pub(super) fn happened(&self) -> bool {
        self.lock().happened
    }

    /// Nothing more goes wrong than has already.
    pub(super) fn calm(&self) {
        let mut plan = self.lock();
        (plan.fault, plan.intruder) = (None, None);
    }

    /// The step ends. Returns whether the process died in it.
    pub(in crate::server) fn end(&self) -> bool {
        self.calm();
        let mut plan = self.lock();
        plan.happened = false;
        plan.dead
    }

    /// How the call that begins now fails.
    fn next(&self) -> Option<Fault> {
        let intruder = {
            let mut plan = self.lock();
            match &mut plan.intruder {
                Some((0, _)) => plan.intruder.take(),
                Some((calls, _)) => {
                    *calls -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some((_, intruder)) = intruder {
            intruder();
        }
        let mut plan = self.lock();
        if plan.dead {
            return Some(Fault { written: false, dies: true });
        }
        match &mut plan.fault {
            Some((0, fault)) => {
                let fault = *fault;
                (plan.fault, plan.happened, plan.dead) = (None, true, fault.dies);
                Some(fault)
            }
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The real store with these faults.
pub(in crate::server) struct FaultyStore {
    pub(in crate::server) real: Arc<dyn Store>,
    pub(in crate::server) faults: Arc<Faults>,
}

fn failed() -> StoreError {
    StoreError::Failed("as the simulation wants it".to_owned())
}

impl FaultyStore {
    fn read<T>(&self, read: impl FnOnce(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.faults.next().is_some() { Err(failed()) } else { read(&*self.real) }
    }

    fn write<T>(&self, write: impl FnOnce(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.faults.next() {
            None => write(&*self.real),
            Some(Fault { written: true, .. }) => write(&*self.real).and_then(|_| Err(failed())),
            Some(Fault { written: false, .. }) => Err(failed()),
        }
    }
}

impl FollowerStore for FaultyStore {
    fn log_end(&self) -> Result<LogPlace, StoreError> {
        self.read(|real| real.log_end())
    }

    fn followers(&self, after: &str, limit: u32, heard_after: Timestamp) -> Result<Vec<FollowerRow>, StoreError> {
        self.read(|real| real.followers(after, limit, heard_after))
    }

    fn followers_short_of(
        &self,
        log_id: &str,
        seq: u64,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Short, StoreError> {
        self.read(|real| real.followers_short_of(log_id, seq, limit, heard_after))
    }

    fn follower_owners(&self, names: &[String], heard_after: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|real| real.follower_owners(names, heard_after))
    }

    fn followers_of(&self, owner: &str, heard_after: Timestamp) -> Result<u64, StoreError> {
        self.read(|real| real.followers_of(owner, heard_after))
    }

    fn note_followers(&self, rows: &[FollowerRow], heard_after: Timestamp) -> Result<(), StoreError> {
        self.write(|real| real.note_followers(rows, heard_after))
    }

    fn remove_follower(&self, name: &str, owner: &str, instance: &str) -> Result<(), StoreError> {
        self.write(|real| real.remove_follower(name, owner, instance))
    }

    fn doubled_followers(&self, limit: u32, heard_after: Timestamp) -> Result<Vec<String>, StoreError> {
        self.read(|real| real.doubled_followers(limit, heard_after))
    }

    fn drop_followers_of_revoked(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(|real| real.drop_followers_of_revoked(now))
    }

    fn drop_followers(&self, heard_after: Timestamp) -> Result<(), StoreError> {
        self.write(|real| real.drop_followers(heard_after))
    }
}

impl Store for FaultyStore {
    fn transaction(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self.faults.next() {
            None => self.real.transaction(work),
            Some(Fault { written: true, .. }) => self.real.transaction(work).and_then(|()| Err(failed())),
            // The writes before are undone.
            Some(Fault { written: false, .. }) => self.real.transaction(&mut |transaction| {
                work(transaction)?;
                Err(failed())
            }),
        }
    }

    fn count(&self) -> Result<u64, StoreError> {
        self.read(|real| real.count())
    }

    fn list(&self, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        self.read(|real| real.list(filter))
    }

    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        self.read(|real| real.find(id))
    }

    fn seal_counts(&self) -> Result<SealCounts, StoreError> {
        self.read(|real| real.seal_counts())
    }

    fn revocations_after(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
        self.read(|real| real.revocations_after(seq, limit))
    }

    fn revocations_for_followers(&self, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
        self.read(|real| real.revocations_for_followers(seq, limit))
    }

    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|real| real.audit_after(seq, limit))
    }

    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        self.read(|real| real.secret_hashes(id, now))
    }

    fn secret_changes(&self, seq: u64) -> Result<SecretChanges, StoreError> {
        self.read(|real| real.secret_changes(seq))
    }

    fn secret_sample(&self, seq: u64, limit: u32) -> Result<SecretSample, StoreError> {
        self.read(|real| real.secret_sample(seq, limit))
    }

    fn without_secret(&self, realm: Realm, now: Timestamp) -> Result<u64, StoreError> {
        self.read(|real| real.without_secret(realm, now))
    }

    fn keyring_memories(&self) -> Result<KeyringMemories, StoreError> {
        self.read(|real| real.keyring_memories())
    }

    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
        self.write(|real| real.remember_keyring(id, seen))
    }

    fn note_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.write(|real| real.note_uses(uses))
    }

    fn imported_sets(&self) -> Result<Vec<StoredSet>, StoreError> {
        self.read(|real| real.imported_sets())
    }

    fn imported_set_counts(&self) -> Result<Vec<SetCount>, StoreError> {
        self.read(|real| real.imported_set_counts())
    }

    fn imported_end(&self) -> Result<ImportedEnd, StoreError> {
        self.read(|real| real.imported_end())
    }

    fn imported_after(&self, place: i64, limit: u32) -> Result<ImportedPart, StoreError> {
        self.read(|real| real.imported_after(place, limit))
    }

    fn imported_elsewhere(&self, realm: Realm, set: i64) -> Result<Elsewhere, StoreError> {
        self.read(|real| real.imported_elsewhere(realm, set))
    }

    fn migrations(&self, realm: Option<Realm>, now: Timestamp) -> Result<Vec<Migration>, StoreError> {
        self.read(|real| real.migrations(realm, now))
    }

    fn taken_over(&self, realm: Realm, limit: u32) -> Result<Vec<ApiKeyId>, StoreError> {
        self.read(|real| real.taken_over(realm, limit))
    }

    fn active_counts(&self, now: Timestamp) -> Result<Vec<ActiveCount>, StoreError> {
        self.read(|real| real.active_counts(now))
    }

    fn count_active_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError> {
        self.read(|real| real.count_active_issued_before(app_id, realm, before, now))
    }

    fn count_issued_before(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        self.read(|real| real.count_issued_before(app_id, realm, before))
    }

    fn rules_behind(&self, after: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(|real| real.rules_behind(after))
    }

    fn has_realm(&self, realm: Realm) -> Result<bool, StoreError> {
        self.read(|real| real.has_realm(realm))
    }

    fn check_files(&self) -> Result<(), StoreError> {
        self.read(|real| real.check_files())
    }

    fn still_damaged(&self, rows: &[u64]) -> Result<Vec<u64>, StoreError> {
        self.read(|real| real.still_damaged(rows))
    }

    fn revoked_page(
        &self,
        after: i64,
        limit: u32,
        expired_before: Timestamp,
        all: bool,
    ) -> Result<RevokedPage, StoreError> {
        self.read(|real| real.revoked_page(after, limit, expired_before, all))
    }

    fn remember_sweep_clock(&self, at: Timestamp) -> Result<(), StoreError> {
        self.write(|real| real.remember_sweep_clock(at))
    }

    fn sweep_clock(&self) -> Result<u64, StoreError> {
        self.read(|real| real.sweep_clock())
    }

    fn settle(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|real| real.settle(now))
    }

    fn sweep(&self, sweep: &Sweep<'_>) -> Result<(), StoreError> {
        self.write(|real| real.sweep(sweep))
    }

    fn as_source(&self) -> &dyn crate::store::CopySource {
        self.real.as_source()
    }
}
