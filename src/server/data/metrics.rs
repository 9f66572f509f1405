//! `GET /metrics`, on a listener of its own.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
    routing::get,
};

use super::with_fallbacks;
use crate::{
    server::{
        App, blocking,
        core::{Core, Door},
    },
    telemetry::exposition::Format,
};

/// The metrics listener's one endpoint.
pub(in crate::server) fn metrics_router(app: Arc<App>) -> Router {
    with_fallbacks(Router::new().route("/metrics", get(metrics)), app)
}

/// The same of an edge.
pub(in crate::server) fn metrics_router_of_edge(core: Core) -> Router {
    async fn metrics(State(core): State<Core>, headers: HeaderMap) -> impl IntoResponse {
        let worker = core.clone();
        // Without the thread the gauges stay as they were.
        let _shown = blocking::run(move || worker.show_gauges()).await;
        exposition(&core, &headers)
    }
    with_fallbacks(Router::new().route("/metrics", get(metrics)), core)
}

async fn metrics(State(app): State<Arc<App>>, door: Door, headers: HeaderMap) -> impl IntoResponse {
    let (worker, snapshot) = (Arc::clone(&app), door.enter());
    let counts = blocking::run(move || {
        worker.show_gauges();
        worker.metrics.secret_waiting(worker.secrets.waiting());
        worker.show_fleet(&snapshot)?;
        worker.store.seal_counts()
    });
    let counts = counts.await;
    // Without the store the counts stay as they were; `/readyz` shows that it fails.
    if let Ok(Ok(counts)) = counts {
        app.metrics.damaged_rows("seal_counts", counts.damaged);
        counts.counts.into_iter().for_each(|count| app.metrics.sealed(count.realm, count.version, count.count));
    }
    exposition(&app, &headers)
}

fn exposition(core: &Core, headers: &HeaderMap) -> impl IntoResponse + use<> {
    let format = Format::accepted(headers);
    // A cache must not give one format to a scraper of the other.
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
    (headers, core.metrics.render(format))
}
