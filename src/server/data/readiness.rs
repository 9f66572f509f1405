//! `GET /healthz` and `GET /readyz`: the service is up; it verifies keys. Only revocations that are too old for every
//! realm, or a log that is proven to have lost its end, make `/readyz` a 503. It names whatever else fails, and so does
//! an edge whose revocations are too old for some of its realms.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
};

use crate::{
    action::rotation,
    api::health::{Ready, is_same_keyring},
    clock,
    server::core::{Core, Door},
};

/// Says that the service is up.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It is.", body = String)))]
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// Says whether keys are verified, and what does not work as it should.
#[utoipa::path(get, path = "/readyz", params(
    ("keyring_id" = Option<String>, Query, description = "A keyring's id, to learn whether this service has that keyring. \
        Other parameters are ignored."),
), responses(
    (status = 200, description = "They are.", body = Ready),
    (status = 503, description = "The revocations are older than `verify.max_staleness`, or on an edge than `follow.max_stale` for \
        every realm; or a follower has proven that the revocation log has lost its end.", body = Ready),
))]
pub(super) async fn ready(State(core): State<Core>, door: Door, uri: Uri) -> (StatusCode, Json<Ready>) {
    let snapshot = door.enter();
    let active_version = rotation::sealing(&snapshot.document, clock::now()).map(|record| record.number.number());
    let ready = snapshot.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let document = &snapshot.document;
    let shown = Ready {
        ready,
        keyring_serial: document.serial(),
        active_version,
        same_keyring: is_same_keyring(uri.query(), document.id()),
        degraded: core.health.all(),
    };
    (status, Json(shown))
}
