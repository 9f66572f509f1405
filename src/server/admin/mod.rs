//! The admin plane: issuing, revoking, ledger, audit and keyring. Every request is authenticated, except one for the
//! description of the plane itself.

mod audit;
mod export;
mod fleet;
mod idempotency_header;
mod issue;
mod keyring;
mod ledger;
mod middleware;
mod reroll;
mod reveal;
mod revoke;

use std::sync::Arc;

use axum::Router;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, openapi, problem::Problem};

/// The admin plane's endpoints, behind authentication. Their description says nothing that this program's source does
/// not, and is public.
pub(super) fn router(app: Arc<App>) -> Router {
    let (router, described) = routes().split_for_parts();
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), middleware::authenticate))
        .merge(openapi::router(described))
        .with_state(app)
}

/// The endpoints and their description.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(ledger::list, issue::issue))
        .routes(routes!(issue::issue_batch))
        .routes(routes!(ledger::show, revoke::revoke))
        .routes(routes!(revoke::suspend))
        .routes(routes!(revoke::resume))
        .routes(routes!(reroll::reroll))
        .routes(routes!(reroll::reroll_secret))
        .routes(routes!(reveal::reveal))
        .routes(routes!(revoke::revoke_many))
        .routes(routes!(audit::list))
        .routes(routes!(fleet::list, fleet::forget_app))
        .routes(routes!(fleet::forget))
        .routes(routes!(keyring::show))
        .routes(routes!(keyring::stage))
        .routes(routes!(keyring::activate))
        .routes(routes!(keyring::compromise))
        .routes(routes!(keyring::destroy))
        .routes(routes!(export::export_realm))
}
