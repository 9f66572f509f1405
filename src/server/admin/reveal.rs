//! `POST /v1/api-keys/{id}/reveal`: an API key as it lies in escrow. The service cannot open it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    auth::{Caller, Permission},
    ledger,
};
use crate::{
    action::reveal::{Escrowed, Reveal},
    clock, schema,
    scope::Scope,
    server::{
        App, blocking,
        body::{self, Bounds},
        openapi::problems::{ApiKeyState, Guarded, MediaType, UnknownApiKey},
        problem::Problem,
        segment::Segment,
    },
};

/// Hands out an API key as it lies in escrow.
///
/// Scope `reveal`, or `reveal` for its realm. Only the identity of the escrow's recipient opens it, which the service does not
/// have.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/reveal", params(("id" = schema::ApiKeyId, Path)),
    request_body = Option<Reveal>,
    responses(
        (status = 200, description = "The API key, encrypted.", body = Escrowed, headers(("Cache-Control" = String))),
        Guarded, UnknownApiKey, ApiKeyState, MediaType,
    )
)]
pub(super) async fn reveal(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id = ledger::parse_id(&id)?;
    caller.needs(&app, Permission::in_realm(Scope::Reveal, id.realm()))?;
    let why: Reveal = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    let escrowed = blocking::run(move || why.apply(id, &*app.store, &caller.actor(), clock::now())).await??;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(escrowed)).into_response())
}
