//! Restoring revocations that the ledger has and the log lost: the log is all that verifiers see. However a row was
//! lost, a key that is revoked in the ledger is rejected.

use bulla::revocation::Change;
use jiff::Timestamp;
use serde_json::json;

use super::{Actor, revoke::expiry_of};
use crate::{
    clock::KeyTime,
    store::{Logged, LostRevocation, NewRevocation, Store, StoreError, Transaction, transact},
};

/// Appends what is still lost, with an audit record for each; the number of keys.
pub(crate) fn restore(store: &dyn Store, lost: &[LostRevocation], now: Timestamp) -> Result<usize, StoreError> {
    if lost.is_empty() {
        return Ok(0);
    }
    transact(store, |transaction| {
        let mut restored = 0;
        for one in lost {
            restored += usize::from(restore_one(transaction, one, now)?);
        }
        Ok(restored)
    })
}

fn restore_one(transaction: &mut dyn Transaction, lost: &LostRevocation, now: Timestamp) -> Result<bool, StoreError> {
    let expires_at = expiry_of(lost.expires_at);
    // Another process may have restored it.
    let Logged { revoked_at: logged, in_effect, suspended_at } = transaction.logged(&lost.id)?;
    if in_effect || logged.is_some_and(|at| at <= now) {
        return Ok(false);
    }
    let mut restored = false;
    if let (Some(at), None) = (lost.revoked_at, logged) {
        let change = Change::Revoke { id: lost.id, expires_at };
        if at <= now {
            append(transaction, lost, (change, None, at), now)?;
            return Ok(true);
        }
        append(transaction, lost, (change, KeyTime::up(at).ok(), now), now)?;
        restored = true;
    }
    // A key whose grace period runs may be suspended, too.
    if let (Some(at), None) = (lost.suspended_at, suspended_at) {
        append(transaction, lost, (Change::Suspend { id: lost.id, expires_at }, None, at.min(now)), now)?;
        restored = true;
    }
    Ok(restored)
}

/// Appends a change to the log, with its audit record.
fn append(
    transaction: &mut dyn Transaction,
    lost: &LostRevocation,
    (change, effective_at, recorded_at): (Change, Option<KeyTime>, Timestamp),
    now: Timestamp,
) -> Result<(), StoreError> {
    let actor = Actor::service();
    let (reason, suspends) = (lost.reason.clone(), matches!(change, Change::Suspend { .. }));
    transaction.append_revocation(&NewRevocation {
        change,
        effective_at,
        reason: reason.filter(|_| !suspends || lost.revoked_at.is_none()),
        recorded_at,
        recorded_by: actor.name.clone(),
    })?;
    let revoked_at = lost.revoked_at.filter(|_| !suspends);
    let detail = json!({"revoked_at": revoked_at, "reason": "the log of revocations had lost it"});
    let record = actor.record(now, "api_key.restore_revocation", Some(lost.id.to_string()), detail);
    transaction.append_audit(&record)
}
