//! `GET /.well-known/oauth-authorization-server`: where the endpoints of OAuth 2.0 are, and how to authenticate there
//! (RFC 8414).

use axum::{
    http::{HeaderMap, header},
    response::Response,
};

use super::answer;
use crate::{
    api::metadata::Metadata,
    server::{core::Door, snapshot::Snapshot},
};

/// Describes the service to clients of OAuth 2.0 (RFC 8414).
///
/// The issuer is `assertion.issuer` where that is an http or https URL, and otherwise the address that was asked.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "oauth_metadata", responses(
    (status = 200, description = "The endpoints, and how to authenticate there.", body = Metadata,
        headers(("Cache-Control" = String))),
))]
pub(in crate::server::data) async fn of_node(door: Door, headers: HeaderMap) -> Response {
    let snapshot = door.enter();
    answer(Metadata::new(&issuer(&snapshot, &headers), algorithm(&snapshot), true))
}

/// The same of an edge, which revokes nothing.
pub(in crate::server::data) async fn of_edge(door: Door, headers: HeaderMap) -> Response {
    let snapshot = door.enter();
    answer(Metadata::new(&issuer(&snapshot, &headers), algorithm(&snapshot), false))
}

fn algorithm(snapshot: &Snapshot) -> Option<&'static str> {
    snapshot.assertions()?.algorithm()
}

fn issuer(snapshot: &Snapshot, headers: &HeaderMap) -> String {
    let configured = snapshot.config.assertion.issuer.trim_end_matches('/');
    if configured.starts_with("https://") || configured.starts_with("http://") {
        return configured.to_owned();
    }
    let scheme = if snapshot.config.data.tls.is_some() { "https" } else { "http" };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}")
}
