//! The admin plane: issuing and the keyring. Every request is authenticated.

pub(super) mod auth;
mod issue;
mod keyring;
mod ledger;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use super::{App, problem::Problem};

/// The admin plane's endpoints.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/api-keys", get(ledger::list).post(issue::issue))
        .route("/v1/api-keys/{id}", get(ledger::show))
        .route("/v1/keyring", get(keyring::show))
        .route("/v1/keyring/versions", post(keyring::stage))
        .route("/v1/keyring/versions/{number}/activate", post(keyring::activate))
        .route("/v1/keyring/versions/{number}/compromise", post(keyring::compromise))
        .route("/v1/keyring/versions/{number}/destroy", post(keyring::destroy))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .with_state(app)
}
