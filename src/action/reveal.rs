//! Handing out an API key from escrow, to whoever has the identity that opens it.

use bulla::ApiKeyId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{ActionError, Actor, take_back};
use crate::{
    schema,
    store::{State, Store, transact},
};

/// Why a key is to be shown again.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reveal {
    #[schema(value_type = Option<schema::Note>)]
    pub(crate) reason: Option<String>,
}

/// An API key as it lies in escrow: here it is not opened.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Escrowed {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    /// Whose identity opens it.
    pub(crate) recipient: String,
    /// The API key as it was issued, an age file in ASCII armor.
    pub(crate) ciphertext: String,
    /// What took the place of its last 51 characters since, written in the same way.
    #[schema(required)]
    pub(crate) ending: Option<String>,
    pub(crate) escrowed_at: Timestamp,
}

impl Reveal {
    /// Hands it out, with the record of that: neither without the other.
    pub(crate) fn apply(
        &self,
        id: ApiKeyId,
        store: &dyn Store,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Escrowed, ActionError> {
        let reason = take_back::reason(self.reason.clone())?;
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
