//! `POST /v1/api-keys/{id}/reveal`: hands out an API key from escrow. The service cannot open it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bulla::ApiKeyId;

use crate::{
    api::{
        responses::{ApiKeyState, Guarded, MediaType, UnknownApiKey},
        reveal::{Escrowed, Reveal},
        schema,
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{JsonBody, NoQuery, PathParam},
        problem::Problem,
    },
};

/// Hands out an API key from escrow.
///
/// Scope `reveal`, or `reveal:REALM`. Only the identity of the escrow's recipient opens it, which the service does not
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
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    _none: NoQuery,
    body: JsonBody<Reveal>,
) -> Result<Response, Problem> {
    caller.needs(&app, Permission::in_realm(Scope::Reveal, id.realm()))?;
    let request = body.parse_or_default()?;
    let escrowed = blocking::run(move || request.apply(id, &*app.store, &caller.actor(), clock::now())).await??;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(escrowed)).into_response())
}
