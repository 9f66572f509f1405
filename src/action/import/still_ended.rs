//! A key that was ended here stays ended when its row is corrected. The revocation log names its expiry, behind which
//! it is swept, and a rule names its app and a time of issue: a correction changes all of these.

use bulla::{ApiKeyId, revocation::Change};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    action::{
        ActionError,
        revoke::{RevokeContext, expiry_of},
    },
    clock::KeyTime,
    store::{LedgerEntry, NewRevocation, StoreError, Transaction},
};

/// Why a key is revoked by its id that only a rule had revoked.
pub(super) const BY_RULE: &str = "a rule revoked it before its row was corrected";

/// What ended a key before its row is corrected.
pub(super) struct Before {
    is_ruled: bool,
    /// `None` where the row was damaged.
    expires_at: Option<Option<Timestamp>>,
}

impl Before {
    pub(super) fn of(transaction: &dyn Transaction, id: &ApiKeyId) -> Result<Self, StoreError> {
        let entry = found(transaction, id)?;
        Ok(Before {
            is_ruled: entry.as_ref().is_some_and(is_ruled),
            expires_at: entry.map(|entry| entry.row.expires_at),
        })
    }

    /// Appends to the log what keeps the corrected key as ended as it was. The context's reason is for a key that only
    /// a rule had revoked.
    pub(super) fn keep(
        &self,
        transaction: &mut dyn Transaction,
        id: ApiKeyId,
        context: &RevokeContext<'_>,
    ) -> Result<(), ActionError> {
        let (entry, logged) = (found(transaction, &id)?, transaction.logged(&id)?);
        // The log drops the rows of a key that has expired. The ledger has the times, and not whether they are in
        // effect: a clock that was set back since then shows one ahead.
        let in_ledger = entry.as_ref().and_then(|entry| entry.revoked_at);
        let revoked_at = logged.revoked_at.or(in_ledger);
        let suspended_at = logged.suspended_at.or(entry.as_ref().and_then(|entry| entry.suspended_at));
        let (now, expiry) = (context.now, entry.as_ref().map(|entry| entry.row.expires_at));
        let expires_at = expiry_of(expiry.flatten());
        let is_pending = !logged.in_effect && logged.revoked_at.is_some_and(|at| at > now);
        let is_revoked = !is_pending && (logged.in_effect || revoked_at.is_some());
        if self.is_ruled && !is_revoked && !entry.as_ref().is_some_and(is_ruled) {
            let change = Change::Revoke { id, expires_at };
            return context.append(transaction, change, Some("api_key.revoke"), id.to_string(), json!({}));
        }
        if expiry.is_some() && expiry == self.expires_at {
            return Ok(());
        }
        let reason = entry.and_then(|entry| entry.revoke_reason);
        let mut append = |change, effective_at, recorded_at, reason| {
            let recorded_by = context.actor.name.clone();
            transaction.append_revocation(&NewRevocation { change, effective_at, reason, recorded_at, recorded_by })
        };
        if is_revoked {
            let since = revoked_at.unwrap_or(now).min(now);
            return Ok(append(Change::Revoke { id, expires_at }, None, since, reason)?);
        }
        if let Some(at) = revoked_at {
            append(Change::Revoke { id, expires_at }, KeyTime::up(at).ok(), now, reason)?;
        }
        if let Some(at) = suspended_at {
            append(Change::Suspend { id, expires_at }, None, at.min(now), None)?;
        }
        Ok(())
    }
}

/// The key on record; `None` where its row is damaged, too.
fn found(transaction: &dyn Transaction, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
    match transaction.find(id) {
        Err(StoreError::Damaged(..)) => Ok(None),
        found => found,
    }
}

fn is_ruled(entry: &LedgerEntry) -> bool {
    entry.issued_before.is_some_and(|before| entry.row.issued_at < before)
}
