//! `ANY /v1/authorize`: the requirements are in the path, the answer in status and headers.

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::{credential_rules::take_rules, identity::Identity, requirements, verify};
use crate::{
    api::{
        responses::{CouldNotTell, Misconfigured},
        schema,
    },
    server::{
        client_address,
        core::Door,
        listener::{Peer, PeerRequest},
        rejection::Denied,
    },
};

/// Answers a gateway: may this request pass?
///
/// The key is the client's, in one header. The first path segment says what is required; the gateway's own route sets
/// it. The segments behind it and the query are the client's and never read. A segment that does not parse is a 500.
#[utoipa::path(
    method(get, put, post, delete, options, head, patch, trace), path = "/v1/authorize/{required}",
    params(("required" = schema::Required, Path)),
    responses(
        (status = 200, description = "Allowed. Every header is there, and empty where there is nothing to say.", headers(
            ("X-Bulla-App-Id" = String, description = "Whom the API key belongs to."),
            ("X-Bulla-Api-Key-Id" = String, description = "The API key's id."),
            ("X-Bulla-Realm" = String, description = "Its realm."),
            ("X-Bulla-Scopes" = String, description = "Its scopes, with spaces between them."),
            ("X-Bulla-Expires-At" = String, description = "When it expires."),
            ("X-Bulla-Assertion" = String, description = "All of that, signed: a JWT."),
        )),
        (status = 401, description = "No key, one that is not accepted, or more than one.", headers(
            ("WWW-Authenticate" = String, description = "Every scheme that the route accepts; with `error=\"invalid_request\"` where there is more than one."),
        )),
        (status = 403, description = "The key lacks a scope.", headers(("WWW-Authenticate" = String))),
        Misconfigured, CouldNotTell,
    )
)]
pub(in crate::server::data) fn authorize(
    door: Door,
    PeerRequest { request, peer, .. }: PeerRequest,
) -> impl Future<Output = Response> + Send {
    let (head, _unread) = request.into_parts();
    async move {
        match identify(door, &head, peer).await {
            Ok(identity) => {
                let mut response = Response::default();
                *response.headers_mut() = identity.into_headers();
                response
            }
            Err(denied) => denied.into_response(),
        }
    }
}

async fn identify(door: Door, head: &Parts, peer: Peer) -> Result<Identity, Denied> {
    let (core, snapshot) = door.pass();
    let mut required = requirements(&snapshot, Ok(route(head.uri.path())))?;
    let address = client_address::behind_gateway(&snapshot.config.data, peer, &head.headers);
    let rules = take_rules(&mut required, &snapshot.config, &snapshot.default_realms);
    let (_accepted, identity) = verify(&core.verification, &snapshot, required, &rules, &head.headers, address).await?;
    Ok(identity)
}

const PATH: &str = "/v1/authorize";

/// Returns whether a request for `path` is one, with or without segments behind it.
pub(in crate::server::data) fn is_authorize(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The segment behind the path, which the route set. Everything behind it, and the query, are the client's and ignored.
fn route(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)?.strip_prefix('/')?.split('/').next()
}
