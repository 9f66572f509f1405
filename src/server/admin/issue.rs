//! `POST /v1/api-keys`: issues a key, shown this once.

use std::sync::Arc;

use arc_swap::Guard;
use axum::{
    Json,
    extract::{Extension, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::auth::{self, Permission};
use crate::{
    action::issue::NewApiKey,
    clock,
    server::{
        App, blocking,
        body::{self, Bounds},
        listener::Peer,
        problem::Problem,
    },
    telemetry::metrics::RealmLabel,
};

pub(super) async fn issue(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let caller = auth::identify(&app, request.headers(), peer)?;
    let new: NewApiKey = body::json(request, Bounds::single(&app.config.server)).await?;
    let realm = new.realm.parse().map_err(|error| Problem::bad_request(format!("realm: {error}")))?;
    caller.needs(&app, Permission::in_realm("issue", realm))?;

    let worker = Arc::clone(&app);
    let issued = blocking::run(move || {
        let snapshot = Guard::into_inner(worker.snapshot());
        new.issue(&snapshot.issuer, &*worker.store, &caller.id.to_string(), clock::now())
    });
    let issued = issued.await??;
    app.metrics.issued.get_or_create(&RealmLabel { realm: issued.realm.clone() }).inc();
    tracing::debug!(id = issued.api_key_id, app_id = %issued.app_id, "issued");
    let mut response = (StatusCode::CREATED, Json(issued)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
