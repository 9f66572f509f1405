//! Rerolling: a new key like the old one, which is revoked after a grace period.

use bulla::{ApiKeyId, revocation::Change};
use jiff::Timestamp;

use super::{
    ActionError, gate, invalid,
    issue::{IssueContext, Replaces},
    revoke::expiry_of,
};
use crate::{
    api::{
        issue::{NEVER, NewApiKey, OneOrMany},
        reroll::{Reroll, Rerolled},
    },
    clock::KeyTime,
    config::{Span, parse_span},
    store::{LedgerEntry, NewRevocation, State, look, transact},
};

/// How long both keys are active, by default.
pub(crate) const GRACE: &str = "1d";

impl Reroll {
    /// Issues the new key and revokes the old one, both or neither.
    pub(crate) fn apply(&self, id: ApiKeyId, issuing: &IssueContext<'_>) -> Result<Rerolled, ActionError> {
        let now = issuing.now;
        let grace = parse_span(self.grace.as_deref().unwrap_or(GRACE)).map_err(|error| invalid("grace", error))?;
        let revoked_at = ends_at(now, grace)?;
        let reason = super::revoke::reason(self.reason.clone())?;
        let entry = issuing.store.find(&id)?.ok_or(ActionError::Unknown(id))?;
        let secret = !issuing.store.secret_hashes(&id, now)?.is_empty();
        let expires_at = expiry_of(entry.row.expires_at);
        can_be_rerolled(&entry, now)?;
        let approved = issuing.approve(NewApiKey { secret, ..self.like(entry)? })?;
        let old = Replaces { id, revoked_at: Some(revoked_at.timestamp()), reason };
        let good_from = look(issuing.store, |transaction| {
            transaction.latest_rule(approved.request.app_id, approved.request.realm)
        })?;
        let prepared = issuing.prepare(&approved, good_from)?;
        transact(issuing.store, |transaction| {
            can_be_rerolled(&transaction.find(&id)?.ok_or(ActionError::Unknown(id))?, now)?;
            issuing.put(transaction, &prepared, "api_key.reroll", Some(&old))?;
            if id.version() == 0 {
                transaction.replace_imported(&id, &prepared.issued.api_key.id())?;
            }
            let change = Change::Revoke { id, expires_at };
            gate::admit(transaction, &change, &issuing.config.fleet, now)?;
            transaction.append_revocation(&NewRevocation {
                change,
                effective_at: Some(revoked_at).filter(|at| at.timestamp() > now),
                reason: Some(
                    old.reason.clone().unwrap_or_else(|| format!("rerolled to {}", prepared.issued.api_key_id)),
                ),
                recorded_at: now,
                recorded_by: issuing.actor.name.clone(),
            })?;
            Ok::<_, ActionError>(())
        })?;
        let revoked_at = revoked_at.timestamp();
        Ok(Rerolled { issued: prepared.issued, replaces: id.to_string(), revoked_at, warning: None, propagation: None })
    }

    /// A key like the one on record, with another secret half.
    fn like(&self, entry: LedgerEntry) -> Result<NewApiKey, ActionError> {
        let row = entry.row;
        let restrictions = row.restrictions.ok_or_else(|| {
            ActionError::Conflict(
                "the API key is older than the record of restrictions: issue a new one instead".to_owned(),
            )
        })?;
        let as_long = match (&self.expires_in, &self.expires_at, row.expires_at) {
            (None, None, Some(at)) => Some(format!("{}s", at.as_second().saturating_sub(row.issued_at.as_second()))),
            (None, None, None) => Some(NEVER.to_owned()),
            _ => self.expires_in.clone(),
        };
        Ok(NewApiKey {
            name: row.name,
            expires_in: as_long,
            expires_at: self.expires_at.clone(),
            scopes: row.scopes,
            audience: OneOrMany::Many(restrictions.audience),
            cidr: restrictions.cidr,
            meta: row.meta,
            ..NewApiKey::plain(row.id.realm(), row.app_id)
        })
    }
}

/// The end of a grace period that begins now.
pub(super) fn ends_at(now: Timestamp, grace: Span) -> Result<KeyTime, ActionError> {
    let too_long = |error: &dyn std::fmt::Display| invalid("grace", format!("that is too long: {error}"));
    let at = now.checked_add(grace.0).map_err(|error| too_long(&error))?;
    KeyTime::up(at).map_err(|error| too_long(&error))
}

fn can_be_rerolled(entry: &LedgerEntry, now: Timestamp) -> Result<(), ActionError> {
    let state = entry.state(now);
    if state != State::Active {
        let state = state.name();
        return Err(ActionError::Conflict(format!("the API key is {state}: only an active one is rerolled")));
    }
    match entry.revoked_at {
        Some(at) => Err(ActionError::Conflict(format!("the API key is to be revoked at {at} already"))),
        None => Ok(()),
    }
}
