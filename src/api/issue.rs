//! `POST /v1/api-keys` and `/v1/api-keys/batch`.

use std::collections::BTreeMap;

use bulla::ApiKey;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use utoipa::ToSchema;
use uuid::Uuid;

use super::schema;
use crate::input::json;

/// As a lifetime: the key does not expire, whatever the realm's default is.
pub(crate) const NEVER: &str = "never";

/// A new API key, as a request describes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    #[schema(value_type = Uuid)]
    pub(crate) app_id: String,
    /// A note for the ledger.
    #[schema(value_type = Option<schema::Note>)]
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// How long it lives: a length of time, or `never`. Without this and `expires_at` the realm's policy decides.
    #[schema(value_type = Option<schema::Lifetime>)]
    #[serde(default)]
    pub(crate) expires_in: Option<String>,
    /// When it expires, instead of `expires_in`.
    #[schema(value_type = Option<Timestamp>)]
    #[serde(default)]
    pub(crate) expires_at: Option<String>,
    /// What it allows.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Where it may be presented. Without an audience it may be presented everywhere.
    #[serde(default)]
    pub(crate) audience: OneOrMany,
    /// From which addresses it may be used: blocks such as `10.0.0.0/8`.
    #[serde(default)]
    pub(crate) cidr: Vec<String>,
    /// Notes in the key itself, which every verifier reads.
    #[serde(default, deserialize_with = "json::texts")]
    pub(crate) meta: BTreeMap<String, String>,
    /// Whether it has a secret half.
    #[serde(default)]
    pub(crate) secret: bool,
}

/// A text, or a list of texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "`audience` is a text or a list of texts")]
pub(crate) enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::None => Vec::new(),
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// The body of a batch.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKeys {
    #[schema(min_items = 1, max_items = 1000)]
    pub(crate) api_keys: Vec<NewApiKey>,
}

/// An issued API key as its owner is shown it, this once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct IssuedApiKey {
    #[schema(value_type = schema::ApiKey)]
    #[serde(serialize_with = "exposed", deserialize_with = "api_key")]
    pub(crate) api_key: ApiKey,
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    pub(crate) app_id: Uuid,
    pub(crate) version: u32,
    pub(crate) issued_at: Timestamp,
    #[schema(required)]
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
}

/// The keys of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedApiKeys {
    pub(crate) api_keys: Vec<IssuedApiKey>,
}

/// The key that the same request was answered with before.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedBefore {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
}

/// The keys that the same batch was answered with before.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllIssuedBefore {
    #[schema(value_type = Vec<schema::ApiKeyId>)]
    pub(crate) api_key_ids: Vec<String>,
}

fn exposed<S: Serializer>(key: &ApiKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

/// An error does not quote the text, which is secret.
fn api_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApiKey, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
    text.parse().map_err(|_| D::Error::custom("not an API key"))
}
