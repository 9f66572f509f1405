//! `POST /v1/api-keys/{id}/reroll` and `/reroll-secret`.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::{
    issue::IssuedApiKey,
    propagation::{Propagates, Propagation},
    schema,
};

/// How a key is to be rerolled.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reroll {
    /// How long the old key stays good; `0s` ends it at once.
    #[schema(value_type = Option<schema::Span>)]
    pub(crate) grace: Option<String>,
    /// The new key's lifetime, or `never`. Without this and `expires_at` the new key lives as long as the old one did.
    #[schema(value_type = Option<schema::Lifetime>)]
    pub(crate) expires_in: Option<String>,
    /// When the new key expires, instead.
    #[schema(value_type = Option<Timestamp>)]
    pub(crate) expires_at: Option<String>,
    #[schema(value_type = Option<schema::Note>)]
    pub(crate) reason: Option<String>,
}

/// A new key, and the end of the one that it replaces.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rerolled {
    #[serde(flatten)]
    pub(crate) issued: IssuedApiKey,
    /// The key it replaces.
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) replaces: String,
    /// When that one is revoked.
    pub(crate) revoked_at: Timestamp,
    /// What failed after that was on record.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
    /// Who has that in force, where the request waited for it.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) propagation: Option<Propagation>,
}

impl Propagates for Rerolled {
    fn set_propagation(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }
}

/// How a secret half is to be rerolled.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RerollSecret {
    /// How long the old secret half stays good; `0s` ends it at once.
    #[schema(value_type = Option<schema::Span>)]
    pub(crate) grace: Option<String>,
}

/// A new secret half, shown this once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RerolledSecret {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    /// Replaces the API key's last 51 characters.
    #[schema(value_type = String, min_length = 51, max_length = 51)]
    #[serde(serialize_with = "exposed")]
    pub(crate) ending: SecretString,
    /// Until when the old secret half is good.
    pub(crate) old_secret_until: Timestamp,
    /// What failed after that was on record.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

fn exposed<S: Serializer>(ending: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(ending.expose_secret())
}
