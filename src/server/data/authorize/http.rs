//! `ANY /v1/authorize`: the requirements are in the path, the answer in status and headers.

use axum::{
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use zeroize::Zeroizing;

use super::{conclude, credential_rules::take_rules, identity::Identity, read, requirements};
use crate::{
    api::{
        responses::{CouldNotTell, Misconfigured},
        schema,
    },
    clock,
    server::{
        client_address,
        core::{Core, Door},
        listener::{Answer, PeerRequest},
        rejection::Denied,
    },
    verification::{Accepted, Step},
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
pub(in crate::server::data) fn authorize(core: &Core, request: PeerRequest) -> Answer {
    decide(core, &request).unwrap_or_else(|denied| Answer::Now(denied.into_response()))
}

fn decide(core: &Core, PeerRequest { request, peer, .. }: &PeerRequest) -> Result<Answer, Denied> {
    let (snapshot, headers) = (Door::pass_at_once(core), request.headers());
    let mut required = requirements(&snapshot, Ok(route(request.uri().path())))?;
    let address = client_address::behind_gateway(&snapshot.config.data, *peer, headers);
    let rules = take_rules(&mut required, &snapshot);
    let (presented, wanted) = read(&core.verification, &snapshot, required, &rules, headers, address)?;
    let now = clock::now_seconds();
    match core.verification.begin(&snapshot, presented.expose(), &wanted, now) {
        Step::Done(ref verdict) => Ok(Answer::Now(respond(conclude(verdict, &snapshot, &wanted, &rules, allow)))),
        // What is left takes the request's own texts along.
        Step::Ask(pending) => {
            let (core, rules) = (core.clone(), rules.into_owned());
            let text = Zeroizing::new(presented.expose().to_owned());
            Ok(Answer::later(async move {
                let verdict = core.verification.finish(&snapshot, &text, &wanted, now, pending).await;
                respond(conclude(&verdict, &snapshot, &wanted, &rules, allow))
            }))
        }
    }
}

fn allow(_: &Accepted, identity: Identity) -> HeaderMap {
    identity.into_headers()
}

fn respond(answer: Result<HeaderMap, Denied>) -> Response {
    match answer {
        Ok(headers) => {
            let mut response = Response::default();
            *response.headers_mut() = headers;
            response
        }
        Err(denied) => denied.into_response(),
    }
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
