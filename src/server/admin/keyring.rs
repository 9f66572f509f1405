//! `GET /v1/keyring`: the key versions on record.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, State},
    http::HeaderMap,
};

use super::auth::{self, Permission};
use crate::{
    keyring_view::KeyringView,
    server::{App, listener::Peer, problem::Problem},
};

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<KeyringView>, Problem> {
    let caller = auth::identify(&app, &headers, peer)?;
    caller.needs_one_of(&app, &[Permission::anywhere("read"), Permission::anywhere("keyring")])?;
    Ok(Json(KeyringView::new(&app.snapshot().document)))
}
