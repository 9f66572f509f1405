//! `POST /v1/api-keys/{id}/reveal`: an API key as it lies in escrow. The service cannot open it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Path, Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    auth::{Caller, Permission},
    ledger,
};
use crate::{
    action::reveal::Reveal,
    clock,
    server::{
        App, blocking,
        body::{self, Bounds},
        problem::Problem,
    },
};

pub(super) async fn reveal(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = ledger::parse_id(&id)?;
    caller.needs(&app, Permission::in_realm("reveal", id.realm()))?;
    let why: Reveal = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    let escrowed = blocking::run(move || why.apply(id, &*app.store, &caller.actor(), clock::now())).await??;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(escrowed)).into_response())
}
