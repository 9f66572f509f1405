//! `POST /v1/api-keys/{id}/reveal`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

/// Why a key is to be shown again.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reveal {
    #[schema(value_type = Option<schema::Note>)]
    pub(crate) reason: Option<String>,
}

/// An API key as it lies in escrow: the service cannot open it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Escrowed {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    /// Whose identity opens it.
    pub(crate) recipient: String,
    /// The API key as it was issued, an age file in ASCII armor.
    pub(crate) ciphertext: String,
    /// What replaced its last 51 characters since, encrypted in the same way.
    #[schema(required)]
    pub(crate) ending: Option<String>,
    pub(crate) escrowed_at: Timestamp,
}
