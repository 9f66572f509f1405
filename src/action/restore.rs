//! Revocations that the ledger has and the log lost, back into the log, which is all that verifiers see. However a row got
//! lost, a key that the ledger calls revoked is not let in.

use bulla::Change;
use jiff::Timestamp;
use serde_json::json;

use super::{Actor, take_back::expiry_of};
use crate::{
    key_time::KeyTime,
    store::{Logged, LostRevocation, NewRevocation, Store, StoreError, Transaction, transact},
};

/// Appends what is still lost, with an audit record for each; how many that were.
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
    let LostRevocation { id, expires_at, revoked_at, reason, .. } = lost;
    let (id, expires_at) = (*id, expiry_of(*expires_at));
    // Somebody may have been faster.
    let Logged { revoked_at: logged, in_effect, suspended_at } = transaction.logged(&id)?;
    let (change, effective_at, recorded_at) = match revoked_at {
        _ if logged.is_some() || in_effect => return Ok(false),
        Some(at) if *at > now => (Change::Revoke { id, expires_at }, KeyTime::up(*at).ok(), now),
        Some(at) => (Change::Revoke { id, expires_at }, None, *at),
        None if suspended_at.is_some() => return Ok(false),
        None => (Change::Suspend { id, expires_at }, None, now),
    };
    let actor = Actor::service();
    transaction.append_revocation(&NewRevocation {
        change,
        effective_at,
        reason: reason.clone(),
        recorded_at,
        recorded_by: actor.name.clone(),
    })?;
    let detail = json!({"revoked_at": revoked_at, "reason": "the log of revocations had lost it"});
    transaction.append_audit(&actor.record(now, "api_key.restore_revocation", Some(id.to_string()), detail))?;
    Ok(true)
}
