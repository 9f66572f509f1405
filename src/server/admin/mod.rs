//! The admin plane: issuing, taking back, ledger, audit and keyring. Every request is authenticated.

mod audit;
pub(super) mod auth;
mod certificate;
mod guard;
mod issue;
mod keyring;
mod ledger;
mod reroll;
mod take_back;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use super::{App, problem::Problem};

/// The admin plane's endpoints.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/api-keys", get(ledger::list).post(issue::issue))
        .route("/v1/api-keys/batch", post(issue::issue_batch))
        .route("/v1/api-keys/{id}", get(ledger::show).delete(take_back::revoke))
        .route("/v1/api-keys/{id}/suspend", post(take_back::suspend))
        .route("/v1/api-keys/{id}/resume", post(take_back::resume))
        .route("/v1/api-keys/{id}/reroll", post(reroll::reroll))
        .route("/v1/api-keys/{id}/reroll-secret", post(reroll::reroll_secret))
        .route("/v1/revocations", post(take_back::revoke_many))
        .route("/v1/audit", get(audit::list))
        .route("/v1/keyring", get(keyring::show))
        .route("/v1/keyring/versions", post(keyring::stage))
        .route("/v1/keyring/versions/{number}/activate", post(keyring::activate))
        .route("/v1/keyring/versions/{number}/compromise", post(keyring::compromise))
        .route("/v1/keyring/versions/{number}/destroy", post(keyring::destroy))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}
