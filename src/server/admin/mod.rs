//! The admin plane: issuing and the keyring. Every request is authenticated.

pub(super) mod auth;
mod issue;
mod keyring;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use super::{App, problem::Problem};

/// The admin plane's endpoints.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/api-keys", post(issue::issue))
        .route("/v1/keyring", get(keyring::show))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .with_state(app)
}
