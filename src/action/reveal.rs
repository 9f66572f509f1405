//! Hands out an API key from escrow, still encrypted to the identity of its recipient.

use bulla::ApiKeyId;
use jiff::Timestamp;
use serde_json::json;

use super::{ActionError, Actor, revoke};
use crate::{
    api::reveal::{Escrowed, Reveal},
    store::{State, Store, transact},
};

impl Reveal {
    /// Hands it out with its audit record: neither without the other.
    pub(crate) fn apply(
        &self,
        id: ApiKeyId,
        store: &dyn Store,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Escrowed, ActionError> {
        let reason = revoke::reason(self.reason.clone())?;
        transact(store, |transaction| {
            let state = transaction.find(&id)?.ok_or(ActionError::Unknown(id))?.state(now);
            if state != State::Active {
                let state = state.name();
                return Err(ActionError::Conflict(format!(
                    "the API key is {state}: only an active one is shown again"
                )));
            }
            let row = transaction.escrow(&id, now)?.ok_or_else(|| {
                ActionError::Conflict(
                    "the API key is not in escrow: its realm named no recipient when it was issued, or when its secret half \
                     was rerolled"
                        .to_owned(),
                )
            })?;
            let detail = json!({"recipient": row.recipient, "reason": reason});
            transaction.append_audit(&actor.record(now, "api_key.reveal", Some(id.to_string()), detail))?;
            Ok(Escrowed {
                api_key_id: id.to_string(),
                recipient: row.recipient,
                ciphertext: row.ciphertext,
                ending: row.ending,
                escrowed_at: row.created_at,
            })
        })
    }
}
