//! `POST /v1/verify` and `/v1/verify/batch`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{bounded_list::BoundedList, issue::IssuedApiKey, schema, verdict::VerifyAnswer};

/// Scopes that one request may name: no key's claims have room for more.
pub(crate) const MAX_SCOPES: usize = 256;
/// Keys in one batch.
pub(crate) const MAX_KEYS: usize = 1_000;
/// Realms that one request may name, where that many are configured.
pub(crate) const MAX_REALMS: usize = 1_000;

/// The realms as a request names them.
pub(crate) type NamedRealms = BoundedList<MAX_REALMS>;

/// The body of `POST /v1/verify`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// What was presented: an API key, or anything else.
    pub(crate) api_key: String,
    /// The realms to accept; the configured defaults, where none is named. At most 64, or as many as are configured.
    #[schema(value_type = Vec<schema::Realm>)]
    #[serde(default)]
    pub(crate) realms: NamedRealms,
    /// All of these are needed. At most 256: no key holds more.
    #[schema(value_type = Vec<String>)]
    #[serde(default)]
    pub(crate) scopes: BoundedList<MAX_SCOPES>,
    /// Who asks. A key that is bound to audiences is rejected without.
    pub(crate) audience: Option<String>,
    /// The client's address. A key that is bound to addresses is rejected without.
    #[schema(value_type = Option<schema::Address>)]
    pub(crate) ip: Option<String>,
}

/// The answer, and a sealed key for an imported one, this once.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct Verification {
    #[serde(flatten)]
    pub(crate) answer: VerifyAnswer,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replacement: Option<IssuedApiKey>,
}

/// The body of `POST /v1/verify/batch`, as it is described. It is read without a copy of each key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "its fields are read under other types")]
pub(crate) struct VerifyBatchRequest {
    #[schema(max_items = 1000)]
    #[schema(value_type = Vec<String>)]
    pub(crate) api_keys: BoundedList<MAX_KEYS>,
    /// The realms to accept; the configured defaults, where none is named. At most 64, or as many as are configured.
    #[schema(value_type = Vec<schema::Realm>)]
    #[serde(default)]
    pub(crate) realms: NamedRealms,
}

/// One answer for each key of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verifications {
    pub(crate) results: Vec<VerifyAnswer>,
}
