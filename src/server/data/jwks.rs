//! `GET /.well-known/jwks.json`: the public keys of signed assertions, as a JWK set (RFC 7517).

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{
    api::{jwks::JwkSet, responses::NoAssertions},
    server::{core::Door, problem::Problem},
};

/// How long an application may cache the keys: publish a new key for longer before it signs.
const CACHED: &str = "public, max-age=300";

/// Publishes the keys that assertions are signed with.
#[utoipa::path(get, path = "/.well-known/jwks.json", responses(
    (status = 200, description = "The public keys, that of the signing one first.", body = JwkSet<'static>,
        content_type = "application/jwk-set+json", headers(("Cache-Control" = String))),
    NoAssertions,
))]
pub(super) async fn jwks(door: Door) -> Result<Response, Problem> {
    let snapshot = door.enter();
    let assertions = snapshot.assertions().ok_or_else(Problem::no_assertions)?;
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, CACHED)];
    Ok((headers, Json(assertions.jwks())).into_response())
}
