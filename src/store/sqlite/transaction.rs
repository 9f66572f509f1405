//! A transaction: each method is a few statements in the file of its table.

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::{audit, escrow, followers, idempotency, imported, ledger, revocation, secret};
use crate::{
    imported::KeyLayout,
    store::{
        AuditRecord, EscrowRow, IdempotentAnswer, Imported, LedgerEntry, LedgerRow, Logged, NewImported, NewRevocation,
        NewSecretRow, RemovedSet, SecretRow, StoreError, StoredSet, Transaction,
    },
};

/// A transaction that has begun.
pub(super) struct Writing<'a>(pub(super) &'a Connection);

impl Transaction for Writing<'_> {
    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
        ledger::find(self.0, id)
    }

    fn logged(&self, id: &ApiKeyId) -> Result<Logged, StoreError> {
        revocation::logged(self.0, id)
    }

    fn put_in_effect(&mut self, id: &ApiKeyId) -> Result<(), StoreError> {
        revocation::put_in_effect(self.0, id)
    }

    fn rule(&self, app_id: Option<Uuid>, realm: Option<Realm>) -> Result<Option<Timestamp>, StoreError> {
        revocation::rule(self.0, app_id, realm)
    }

    fn latest_rule(&self, app_id: Uuid, realm: Realm) -> Result<Option<Timestamp>, StoreError> {
        revocation::latest_rule(self.0, app_id, realm)
    }

    fn idempotent_answer(&self, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError> {
        idempotency::answer(self.0, caller, key)
    }

    fn insert_api_key(&mut self, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError> {
        ledger::insert(self.0, row, budget)
    }

    fn imported_set(&mut self, realm: Realm, layout: &KeyLayout, id_key: [u8; 16]) -> Result<StoredSet, StoreError> {
        imported::set(self.0, realm, layout, id_key)
    }

    fn insert_imported(&mut self, new: &NewImported) -> Result<Imported, StoreError> {
        imported::insert(self.0, new)
    }

    fn correct_imported(&mut self, new: &NewImported) -> Result<(), StoreError> {
        imported::correct(self.0, new)
    }

    fn remove_imported_set(&mut self, set: i64) -> Result<Option<RemovedSet>, StoreError> {
        imported::remove_set(self.0, set)
    }

    fn replace_imported(&mut self, id: &ApiKeyId, by: &ApiKeyId) -> Result<bool, StoreError> {
        imported::replace(self.0, id, by)
    }

    fn secret_hashes(&self, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        secret::of(self.0, id, now)
    }

    fn insert_secret(&mut self, row: &NewSecretRow) -> Result<(), StoreError> {
        secret::insert(self.0, row)
    }

    fn retire_secret(&mut self, seq: u64, at: Option<Timestamp>) -> Result<bool, StoreError> {
        secret::retire(self.0, seq, at)
    }

    fn replace_secret(&mut self, old: &SecretRow, new: &NewSecretRow) -> Result<bool, StoreError> {
        secret::replace(self.0, old, new)
    }

    fn insert_escrow(&mut self, row: &EscrowRow) -> Result<(), StoreError> {
        escrow::insert(self.0, row)
    }

    fn escrow(&self, id: &ApiKeyId, now: Timestamp) -> Result<Option<EscrowRow>, StoreError> {
        escrow::find(self.0, id, now)
    }

    fn renew_escrow(&mut self, id: &ApiKeyId, ending: &str) -> Result<(), StoreError> {
        escrow::renew(self.0, id, ending)
    }

    fn end_escrow(&mut self, id: &ApiKeyId, at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        escrow::end(self.0, id, at, now)
    }

    fn append_revocation(&mut self, revocation: &NewRevocation) -> Result<(), StoreError> {
        escrow::end_by(self.0, revocation)?;
        revocation::append(self.0, revocation)
    }

    fn followers_not_reading(
        &self,
        format: &str,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        followers::not_reading(self.0, format, limit, heard_after)
    }

    fn forget_follower(&mut self, name: &str) -> Result<bool, StoreError> {
        followers::forget(self.0, name)
    }

    fn forget_followers_of(&mut self, owner: &str) -> Result<u64, StoreError> {
        followers::forget_of(self.0, owner)
    }

    fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        audit::append(self.0, record)
    }

    fn remember_answer(&mut self, caller: &str, key: &str, answer: &IdempotentAnswer) -> Result<(), StoreError> {
        idempotency::remember(self.0, caller, key, answer)
    }
}
