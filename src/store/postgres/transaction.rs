//! A transaction: each method is a few statements in the file of its table.

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    audit, audit_numbering, escrow, followers, idempotency, imported, ledger, params::params, revocation, secret,
    session::Session, store_row::Numbers,
};
use crate::{
    imported::KeyLayout,
    store::{
        AuditRecord, EscrowRow, IdempotentAnswer, Imported, LedgerEntry, LedgerRow, Logged, NewImported, NewRevocation,
        NewSecretRow, RemovedSet, SecretRow, StoreError, StoredSet, Transaction, rows::damaged,
    },
};

/// Tells followers that listen the new end of the log. Sent in a revocation's transaction alone: a commit with a
/// notification takes a lock over the whole cluster.
const NOTIFY: &str = "SELECT pg_notify('bulla_revocations', $1)";

/// Numbers of the log are below this: followers read them in JSON.
const NUMBERS: i64 = 1 << 53;

/// A transaction that has begun, and holds the lock on the store's row.
pub(super) struct Writing<'a> {
    pub(super) session: &'a Session,
    /// The latest numbers; written back at the end.
    pub(super) numbers: Numbers,
    before: Numbers,
    /// Records that are appended at the end.
    audit: Vec<AuditRecord>,
    /// Whether the numbers go on behind every row of the revocation log.
    behind_log: bool,
}

impl<'a> Writing<'a> {
    /// The transaction that has begun with these numbers.
    pub(super) fn new(session: &'a Session, numbers: Numbers) -> Self {
        Writing { session, numbers, before: numbers, audit: Vec::new(), behind_log: false }
    }

    /// The session, to write with.
    pub(super) fn writes(&self) -> &'a Session {
        self.session
    }

    /// The session, to append to the revocation log with. A row that somebody added with SQL may have a number that was
    /// never given: those who have read up to there must hear of what is appended now.
    pub(super) fn appends(&mut self) -> Result<&'a Session, StoreError> {
        if !self.behind_log {
            let row = self.session.only("SELECT coalesce(max(seq), 0) FROM bulla.revocations", &[])?;
            let latest = self.numbers.revocation.max(row.get(0));
            if latest >= NUMBERS {
                return Err(damaged("the revocation log", latest));
            }
            (self.numbers.revocation, self.behind_log) = (latest, true);
        }
        Ok(self.writes())
    }

    /// Commits what `worked`, or undoes it.
    pub(super) fn end(self, worked: Result<(), StoreError>) -> Result<(), StoreError> {
        let refused = self.session.has_refused();
        match worked {
            Ok(()) if refused => {
                self.session.rollback();
                Err(StoreError::Failed("a statement of the transaction was refused: nothing was done".to_owned()))
            }
            // Also where nothing was left to do: a change that was found done may have been made by a transaction whose
            // commit hung, and this one, whose lock is written, too, waits for the same standby.
            Ok(()) => self.commit(),
            other => {
                self.session.rollback();
                other
            }
        }
    }

    fn commit(self) -> Result<(), StoreError> {
        let Numbers { key, revocation, secret } = self.numbers;
        let columns = audit::Columns::of(&self.audit);
        let (records, numbers) = (columns.params(), params![key, revocation, secret]);
        let payload = revocation.to_string();
        let payload = params![payload];
        let mut last: Vec<(&str, &[_])> = Vec::new();
        if !self.audit.is_empty() {
            last.push((audit_numbering::APPEND, &records));
        }
        if self.numbers != self.before {
            last.push((
                "UPDATE bulla.store SET key_seq = $1, revocation_seq = $2, secret_seq = $3 WHERE id = 1",
                &numbers,
            ));
        }
        if self.numbers.revocation != self.before.revocation {
            last.push((NOTIFY, &payload));
        }
        let committed = self.session.commit_with(&last);
        if committed.is_err() {
            self.session.rollback();
        }
        committed
    }
}

impl Transaction for Writing<'_> {
    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        ledger::find(self.session, id)
    }

    fn logged(&self, id: &ApiKeyId) -> Result<Logged, StoreError> {
        revocation::logged(self.session, id)
    }

    fn put_in_effect(&mut self, id: &ApiKeyId) -> Result<(), StoreError> {
        revocation::put_in_effect(self, id)
    }

    fn rule(&self, app_id: Option<Uuid>, realm: Option<Realm>) -> Result<Option<Timestamp>, StoreError> {
        revocation::rule(self.session, app_id, realm)
    }

    fn latest_rule(&self, app_id: Uuid, realm: Realm) -> Result<Option<Timestamp>, StoreError> {
        revocation::latest_rule(self.session, app_id, realm)
    }

    fn idempotent_answer(&self, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError> {
        idempotency::answer(self.session, caller, key)
    }

    fn insert_api_key(&mut self, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError> {
        ledger::insert(self, row, budget)
    }

    fn imported_set(&mut self, realm: Realm, layout: &KeyLayout, id_key: [u8; 16]) -> Result<StoredSet, StoreError> {
        imported::set(self, realm, layout, id_key)
    }

    fn insert_imported(&mut self, new: &NewImported) -> Result<Imported, StoreError> {
        imported::insert(self, new)
    }

    fn correct_imported(&mut self, new: &NewImported) -> Result<(), StoreError> {
        imported::correct(self.writes(), new)
    }

    fn remove_imported_set(&mut self, set: i64) -> Result<Option<RemovedSet>, StoreError> {
        imported::remove_set(self.writes(), set)
    }

    fn replace_imported(&mut self, id: &ApiKeyId, by: &ApiKeyId) -> Result<bool, StoreError> {
        imported::replace(self.writes(), id, by)
    }

    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        secret::of(self.session, id, now)
    }

    fn insert_secret(&mut self, row: &NewSecretRow) -> Result<(), StoreError> {
        secret::insert(self, row)
    }

    fn retire_secret(&mut self, seq: u64, at: Option<Timestamp>) -> Result<bool, StoreError> {
        secret::retire(self.writes(), seq, at)
    }

    fn replace_secret(&mut self, old: &SecretRow, new: &NewSecretRow) -> Result<bool, StoreError> {
        secret::replace(self, old, new)
    }

    fn insert_escrow(&mut self, row: &EscrowRow) -> Result<(), StoreError> {
        escrow::insert(self.writes(), row)
    }

    fn escrow(&self, id: &ApiKeyId, now: Timestamp) -> Result<Option<EscrowRow>, StoreError> {
        escrow::find(self.session, id, now)
    }

    fn renew_escrow(&mut self, id: &ApiKeyId, ending: &str) -> Result<(), StoreError> {
        escrow::renew(self.writes(), id, ending)
    }

    fn end_escrow(&mut self, id: &ApiKeyId, at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        escrow::end(self.writes(), id, at, now)
    }

    fn append_revocation(&mut self, revocation: &NewRevocation) -> Result<(), StoreError> {
        escrow::end_by(self.writes(), revocation)?;
        revocation::append(self, revocation)
    }

    fn followers_not_reading(
        &self,
        format: &str,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        followers::not_reading(self.session, format, limit, heard_after)
    }

    fn forget_follower(&mut self, name: &str) -> Result<bool, StoreError> {
        followers::forget(self.writes(), name)
    }

    fn forget_followers_of(&mut self, owner: &str) -> Result<u64, StoreError> {
        followers::forget_of(self.writes(), owner)
    }

    fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        self.audit.push(record.clone());
        Ok(())
    }

    fn remember_answer(&mut self, caller: &str, key: &str, answer: &IdempotentAnswer) -> Result<(), StoreError> {
        idempotency::remember(self.writes(), caller, key, answer)
    }
}
