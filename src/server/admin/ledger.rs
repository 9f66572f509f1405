//! `GET /v1/api-keys` and `GET /v1/api-keys/{id}`: the ledger.

use std::sync::Arc;

use axum::{Json, extract::State};
use bulla::{ApiKeyId, Realm};

use crate::{
    api::{
        ledger::{ApiKeyPage, ApiKeyView, LedgerQuery, PageError},
        responses::{Guarded, UnknownApiKey},
        schema,
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{NoQuery, PathParam, Query, known_realm},
        problem::Problem,
    },
};

/// Lists the ledger.
///
/// Scope `read`, or `read:REALM` for that realm. Administrators' keys are shown to administrators alone.
#[utoipa::path(
    get, path = "/v1/api-keys", operation_id = "list_api_keys", params(LedgerQuery),
    responses((status = 200, description = "A page of it, the oldest first.", body = ApiKeyPage), Guarded)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(mut query): Query<LedgerQuery>,
) -> Result<Json<ApiKeyPage>, Problem> {
    let needed = query.realm.map(|realm| Permission::in_realm(Scope::Read, realm));
    caller.needs(&app, needed.unwrap_or(Permission::anywhere(Scope::Read)))?;
    // Only administrators are shown administrators' keys among all others.
    query.without = caller.lacks(Permission::in_realm(Scope::Read, Realm::ADMIN)).then_some(Realm::ADMIN);
    if let Some(realm) = query.realm {
        known_realm(&app, caller.snapshot(), realm).await?;
    }
    let page = blocking::run(move || ApiKeyPage::read(&*app.store, &query, clock::now()));
    page.await?.map(Json).map_err(|error| match error {
        PageError::Store(error) => error.into(),
        wrong => Problem::bad_request(wrong.to_string()),
    })
}

/// Shows an API key on record.
///
/// Scope `read`, or `read:REALM`.
#[utoipa::path(
    get, path = "/v1/api-keys/{id}", operation_id = "show_api_key", params(("id" = schema::ApiKeyId, Path)),
    responses((status = 200, description = "It is on record.", body = ApiKeyView), Guarded, UnknownApiKey)
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    _none: NoQuery,
) -> Result<Json<ApiKeyView>, Problem> {
    caller.needs(&app, Permission::in_realm(Scope::Read, id.realm()))?;
    let row = blocking::run(move || app.store.find(&id)).await??;
    row.map(|row| Json(ApiKeyView::new(row, clock::now()))).ok_or_else(Problem::unknown_api_key)
}
