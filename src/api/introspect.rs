//! `POST /v1/introspect` (RFC 7662).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    query, schema,
    verdict::{ActiveKey, scope_list},
};
use crate::verification::Accepted;

/// RFC 7662 §2.1, and what a key may be bound to beside it. Other parameters are ignored.
#[derive(Deserialize, ToSchema)]
pub(crate) struct IntrospectionRequest {
    /// The API key, or anything else.
    pub(crate) token: String,
    /// The realm to accept; the configured defaults, where none is named.
    #[schema(value_type = Option<schema::Realm>, nullable = false)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) realm: Option<String>,
    /// Who was asked.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) audience: Option<String>,
    /// The client's address.
    #[schema(value_type = Option<schema::Address>, nullable = false)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) ip: Option<String>,
}

/// RFC 7009 §2.1. Other parameters are ignored.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RevocationRequest {
    /// The API key, or anything else.
    pub(crate) token: String,
}

/// What an answer takes beside the key.
pub(crate) struct Context<'a> {
    pub(crate) issuer: Option<&'a str>,
    /// In Unix seconds.
    pub(crate) now: u64,
    /// How far from now `exp` may be, in seconds; zero for no bound.
    pub(crate) max_exp: u64,
}

/// RFC 7662 §2.2, and what `POST /v1/verify` says beside it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Introspection {
    Active(Box<ActiveToken>),
    Inactive {
        #[schema(schema_with = schema::no)]
        active: bool,
    },
}

/// An accepted API key, as a token.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActiveToken {
    #[serde(flatten)]
    key: ActiveKey,
    #[schema(schema_with = schema::bearer)]
    token_type: &'static str,
    /// Left out where the key has no scopes: RFC 6749 has no empty list.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    client_id: String,
    /// The key's metadata `username`; without it, or where it reads as an app or an id, the key's app.
    username: String,
    sub: String,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[schema(value_type = schema::ApiKeyId)]
    jti: String,
    /// Left out of an imported key whose old system did not say when it was issued.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    /// How long a client may keep the answer: `introspection.max_exp` from now, or when the key expires if that is
    /// earlier. `expires_at` has the key's own.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aud: Vec<String>,
}

impl Introspection {
    /// The answer about a key that was accepted.
    pub(crate) fn active(accepted: &Accepted, Context { issuer, now, max_exp }: Context<'_>) -> Self {
        let key = ActiveKey::new(accepted);
        let until = (max_exp > 0).then(|| now + max_exp);
        Introspection::Active(Box::new(ActiveToken {
            token_type: "Bearer",
            scope: scope_list(&key.scopes),
            client_id: key.app_id.to_string(),
            username: accepted.username().map_or_else(|| key.app_id.to_string(), str::to_owned),
            sub: key.app_id.to_string(),
            iss: issuer.map(str::to_owned),
            jti: key.api_key_id.clone(),
            iat: Some(accepted.issued_at()).filter(|at| *at > 0),
            exp: accepted.expires_at().into_iter().chain(until).min(),
            nbf: accepted.claims().and_then(|claims| claims.not_before()),
            aud: accepted.claims().map(|claims| claims.audience().to_vec()).unwrap_or_default(),
            key,
        }))
    }
}
