//! Replacing an imported key with a sealed one: once, and the imported one stays active.

use bulla::ApiKeyId;

use super::{
    ActionError,
    issue::{IssueContext, Replaces},
    revoke::is_revoked,
};
use crate::{
    api::issue::{IssuedApiKey, NEVER, NewApiKey},
    store::{State, look, transact},
};

/// Issues a key like the imported one, unless that was done before.
pub(crate) fn replace(id: ApiKeyId, issuing: &IssueContext<'_>) -> Result<Option<IssuedApiKey>, ActionError> {
    let row = issuing.store.find(&id)?.ok_or(ActionError::Unknown(id))?.row;
    let new = NewApiKey {
        name: row.name,
        expires_in: row.expires_at.is_none().then(|| NEVER.to_owned()),
        expires_at: row.expires_at.map(|at| at.to_string()),
        scopes: row.scopes,
        meta: row.meta,
        ..NewApiKey::plain(id.realm(), row.app_id)
    };
    let approved = issuing.approve(new)?;
    let good_from = look(issuing.store, |transaction| transaction.latest_rule(row.app_id, id.realm()))?;
    let prepared = issuing.prepare(&approved, good_from)?;
    let old = Replaces { id, revoked_at: None, reason: None };
    let first = transact(issuing.store, |transaction| {
        // It was active when it was presented. A key that was revoked or suspended since then is not replaced.
        let (entry, logged) = (transaction.find(&id)?, transaction.logged(&id)?);
        let state = entry.as_ref().map_or(State::Active, |entry| entry.state(issuing.now));
        if state != State::Active || is_revoked(entry.as_ref(), &logged, issuing.now) || logged.suspended_at.is_some() {
            return Err(ActionError::Conflict("the imported key is no longer active".to_owned()));
        }
        let first = transaction.replace_imported(&id, &prepared.issued.api_key.id())?;
        if first {
            issuing.put(transaction, &prepared, "api_key.replace_imported", Some(&old))?;
        }
        Ok::<_, ActionError>(first)
    })?;
    Ok(first.then_some(prepared.issued))
}
