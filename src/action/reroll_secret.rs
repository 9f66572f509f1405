//! Rerolling a secret half: a new one for the same sealed text, and the old one ends after a grace period.

use bulla::{ApiKeyId, secret::SealBinding};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use super::{ActionError, Actor, invalid, reroll::ends_at, revoke::is_revoked};
use crate::{
    api::reroll::{RerollSecret, RerolledSecret},
    config::{Config, parse_span},
    escrow,
    secret::{self, Peppers, intact, rerolled},
    store::{State, Store, transact},
};

impl RerollSecret {
    /// Stores the new hash, and ends the old ones.
    pub(crate) fn apply(
        &self,
        id: ApiKeyId,
        store: &dyn Store,
        (config, peppers): (&Config, Option<&Peppers>),
        actor: &Actor,
        now: Timestamp,
    ) -> Result<RerolledSecret, ActionError> {
        let grace = self.grace.as_deref().unwrap_or(super::reroll::GRACE);
        let grace = parse_span(grace).map_err(|error| invalid("grace", error))?;
        let until = ends_at(now, grace)?.timestamp();
        let peppers = peppers.ok_or_else(|| invalid("secret", "secret halves need a [pepper] in the configuration"))?;
        let stored = store.secret_hashes(&id, now)?;
        let Some(newest) = stored.first() else {
            return Err(match store.find(&id)? {
                Some(_) => ActionError::Conflict("the API key has no secret half".to_owned()),
                None => ActionError::Unknown(id),
            });
        };
        // A row of another writer could bind the secret half to their own text.
        intact(&id, newest, peppers).map_err(|error| ActionError::Conflict(format!("the stored hash: {error}")))?;
        let binding: SealBinding = newest.binding.parse().map_err(|error| ActionError::Conflict(format!("{error}")))?;
        let (hash, secret) = rerolled(&binding, peppers, secret::scheme_of(config, id.realm()))?;
        let recipient = escrow::recipient_of(config, id.realm())?;
        let escrowed = recipient.map(|to| Ok::<_, ActionError>((to.to_string(), to.encrypt(secret.expose())?)));
        let escrowed = escrowed.transpose()?;
        transact(store, |transaction| {
            let (entry, logged) = (transaction.find(&id)?, transaction.logged(&id)?);
            let state = match &entry {
                _ if is_revoked(entry.as_ref(), &logged, now) => State::Revoked,
                Some(entry) => entry.state(now),
                None if logged.suspended_at.is_some() => State::Suspended,
                None => State::Active,
            };
            if state != State::Active {
                let state = state.name();
                return Err(ActionError::Conflict(format!("the API key is {state}: its secret half is not rerolled")));
            }
            // Two are valid at a time: the present one stays valid until its grace period ends, older ones end now. The
            // present one has no end; a hash that replaced an older one has a higher number, and the same end. Hashes
            // that have ended by this clock, which may be ahead, are included.
            let stored = transaction.secret_hashes(&id, Timestamp::MIN)?;
            let present = stored.iter().find(|old| old.retires_at.is_none()).or(stored.first()).map(|old| old.seq);
            for old in stored {
                let goes_on = Some(old.seq) == present && until > now;
                let ends = goes_on.then(|| old.retires_at.map_or(until, |retires| retires.min(until)));
                transaction.retire_secret(old.seq, ends)?;
            }
            transaction.insert_secret(&hash.row(id, peppers, now, None))?;
            if let Some(row) = transaction.escrow(&id, now)? {
                match &escrowed {
                    Some((recipient, ending)) if *recipient == row.recipient => {
                        transaction.renew_escrow(&id, ending)?
                    }
                    // The escrow has the old key, which is valid until then.
                    _ => transaction.end_escrow(&id, until, now)?,
                }
            }
            let detail = json!({"old_secret_until": until});
            transaction.append_audit(&actor.record(now, "api_key.reroll_secret", Some(id.to_string()), detail))?;
            Ok::<_, ActionError>(())
        })?;
        let ending = SecretString::from(secret.expose());
        Ok(RerolledSecret { api_key_id: id.to_string(), ending, old_secret_until: until, warning: None })
    }
}
