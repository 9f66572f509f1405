//! Restoring the end of the revocation log, which a database lost in a failover to a standby that did not have it yet.
//! A key whose revocation was acknowledged stays revoked, as long as one process lives that had read it.

use bulla::revocation::{Change, RevocationEvent};
use jiff::Timestamp;
use serde_json::json;

use super::Actor;
use crate::{
    clock::{self, KeyTime},
    store::{NewRevocation, Store, StoreError, Transaction, transact},
};

/// Events in one transaction: others wait for it.
const AT_ONCE: usize = 500;

/// Appends those of these events that revoke or suspend and that the log does not have, with an audit record for each;
/// how many. A key that was resumed in them stays suspended.
pub(crate) fn restore_end(store: &dyn Store, lost: &[RevocationEvent], now: Timestamp) -> Result<usize, StoreError> {
    let mut restored = 0;
    for events in lost.chunks(AT_ONCE) {
        restored += transact(store, |transaction| {
            let mut restored = 0;
            for event in events {
                restored += usize::from(restore_one(transaction, event, now)?);
            }
            Ok::<_, StoreError>(restored)
        })?;
    }
    Ok(restored)
}

/// Another process may have restored it, or an administrator may have repeated it.
fn restore_one(transaction: &mut dyn Transaction, event: &RevocationEvent, now: Timestamp) -> Result<bool, StoreError> {
    let at = event.effective_at.map(|at| clock::timestamp(u64::from(at)));
    let (known, target, action) = match event.change {
        Change::Revoke { id, .. } => {
            let logged = transaction.logged(&id)?;
            let known = logged.in_effect || logged.revoked_at.is_some_and(|there| there <= at.unwrap_or(now));
            (known, id.to_string(), "api_key.restore_revocation")
        }
        Change::Suspend { id, .. } => {
            (transaction.logged(&id)?.suspended_at.is_some(), id.to_string(), "api_key.restore_revocation")
        }
        Change::RevokeApp { app_id, realm, issued_before } => (
            is_ruled(transaction.rule(Some(app_id), realm)?, issued_before),
            app_id.to_string(),
            "app.restore_revocation",
        ),
        Change::RevokeRealm { realm, issued_before } => (
            is_ruled(transaction.rule(None, Some(realm))?, issued_before),
            realm.to_string(),
            "realm.restore_revocation",
        ),
        Change::Resume { .. } | Change::ForgetVersion { .. } => return Ok(false),
    };
    if known {
        return Ok(false);
    }
    let actor = Actor::service();
    transaction.append_revocation(&NewRevocation {
        change: event.change,
        effective_at: at.and_then(|at| KeyTime::up(at).ok()),
        reason: None,
        recorded_at: now,
        recorded_by: actor.name.clone(),
    })?;
    let detail = json!({"revoked_at": at, "reason": "the database had lost the end of the log of revocations"});
    transaction.append_audit(&actor.record(now, action, Some(target), detail))?;
    Ok(true)
}

fn is_ruled(rule: Option<Timestamp>, issued_before: u32) -> bool {
    rule.is_some_and(|there| there >= clock::timestamp(u64::from(issued_before)))
}
