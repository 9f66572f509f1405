//! The data plane: verify, authorize, introspect. What a caller may see of a key, and nothing of why not.

mod authorize;
mod batch;
mod feed;
mod introspect;
mod jwks;
mod self_revoke;
mod verify;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{any, get, post},
};
use serde::Serialize;
use tower_http::compression::CompressionLayer;

use super::{App, blocking, degraded::Failing, problem::Problem};

/// The data plane's endpoints.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/verify", post(verify::verify))
        .route("/v1/verify/batch", post(batch::verify_batch))
        .route("/v1/introspect", post(introspect::introspect))
        .route("/v1/authorize", any(authorize::authorize))
        .route("/v1/authorize/", any(authorize::authorize))
        .route("/v1/authorize/{*rest}", any(authorize::authorize))
        .route("/envoy.service.auth.v3.Authorization/Check", authorize::ext_authz(&app))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/v1/revocations", get(feed::revocations).layer(CompressionLayer::new()))
        .route("/v1/self-revoke", post(self_revoke::self_revoke))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .with_state(app)
}

/// The metrics listener's one endpoint.
pub(super) fn metrics_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .with_state(app)
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    keyring_serial: u64,
    active_version: Option<u32>,
    /// What does not work as it should, while keys are verified all the same.
    degraded: Vec<Failing>,
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let snapshot = app.snapshot();
    let active_version = snapshot.document.active().map(|record| record.number.number());
    let ready = app.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shown =
        Ready { ready, keyring_serial: snapshot.document.serial(), active_version, degraded: app.degraded.all() };
    (status, Json(shown))
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let worker = Arc::clone(&app);
    let counts = blocking::run(move || {
        worker.show_gauges();
        worker.store.seal_counts()
    });
    let counts = counts.await;
    // Without the store the counts stay as they were; its failing shows elsewhere.
    if let Ok(Ok(counts)) = counts {
        app.metrics.sealed(&counts);
    }
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], app.metrics.render())
}
