//! `GET /.well-known/oauth-authorization-server` (RFC 8414).

use serde::Serialize;
use utoipa::ToSchema;

/// How a client authenticates (RFC 6749, section 2.3.1; RFC 6750).
const METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// What a client of OAuth 2.0 needs to know. No tokens are issued here, so most of it is empty.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerMetadata)]
pub(crate) struct Metadata {
    issuer: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// Where answers can be signed (RFC 9701).
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_signing_alg_values_supported: Option<[&'static str; 1]>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint_auth_methods_supported: Option<[&'static str; 2]>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
}

impl Metadata {
    /// Of a service at this issuer's URL, which signs with this algorithm, and revokes.
    pub(crate) fn new(issuer: &str, algorithm: Option<&'static str>, revokes: bool) -> Self {
        let at = |path: &str| format!("{issuer}{path}");
        Metadata {
            issuer: issuer.to_owned(),
            response_types_supported: [],
            grant_types_supported: [],
            introspection_endpoint: at("/v1/introspect"),
            introspection_endpoint_auth_methods_supported: METHODS,
            introspection_signing_alg_values_supported: algorithm.map(|name| [name]),
            revocation_endpoint: revokes.then(|| at("/v1/revoke")),
            revocation_endpoint_auth_methods_supported: revokes.then_some(METHODS),
            jwks_uri: algorithm.map(|_| at("/.well-known/jwks.json")),
        }
    }
}
