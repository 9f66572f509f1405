//! The admin plane: issuing, taking back, ledger, audit and keyring. Every request is authenticated, but for the description of it all.

mod audit;
pub(super) mod auth;
mod certificate;
mod guard;
mod issue;
mod keyring;
mod ledger;
pub(super) mod page;
mod reroll;
mod reveal;
mod take_back;

use std::sync::Arc;

use axum::{Router, middleware};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, openapi, problem::Problem};

/// The admin plane's endpoints. Nobody unknown gets through to one of them; their description says nothing that this
/// program's source does not, and is for everybody.
pub(super) fn router(app: Arc<App>) -> Router {
    let (router, described) = routes().split_for_parts();
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .merge(openapi::router(described))
        .with_state(app)
}

/// They, and their description.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(ledger::list, issue::issue))
        .routes(routes!(issue::issue_batch))
        .routes(routes!(ledger::show, take_back::revoke))
        .routes(routes!(take_back::suspend))
        .routes(routes!(take_back::resume))
        .routes(routes!(reroll::reroll))
        .routes(routes!(reroll::reroll_secret))
        .routes(routes!(reveal::reveal))
        .routes(routes!(take_back::revoke_many))
        .routes(routes!(audit::list))
        .routes(routes!(keyring::show))
        .routes(routes!(keyring::stage))
        .routes(routes!(keyring::activate))
        .routes(routes!(keyring::compromise))
        .routes(routes!(keyring::destroy))
}
