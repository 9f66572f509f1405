//! `GET /.well-known/jwks.json`.

use serde::Serialize;
use utoipa::ToSchema;

/// A public key that checks assertions (RFC 7517, RFC 7518, RFC 8037).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Jwk {
    pub(crate) kty: &'static str,
    pub(crate) crv: &'static str,
    pub(crate) x: String,
    /// Of a key on a curve of NIST's.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) y: Option<String>,
    pub(crate) kid: String,
    pub(crate) alg: &'static str,
    pub(crate) r#use: &'static str,
}

/// A JWK set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(crate) struct JwkSet<'a> {
    #[schema(value_type = Vec<Jwk>)]
    pub(crate) keys: Vec<&'a Jwk>,
}
