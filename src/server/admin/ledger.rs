//! `GET /v1/api-keys` and `GET /v1/api-keys/{id}`: the ledger.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    extract::{Extension, RawQuery, State},
};
use bulla::{ApiKeyId, Realm};

use super::auth::{Caller, Permission};
use crate::{
    clock, schema,
    scope::Scope,
    server::{
        App, blocking,
        openapi::problems::{Guarded, UnknownApiKey},
        problem::Problem,
        query,
        segment::Segment,
    },
    view::ledger::{ApiKeyView, Page, PageError, Wanted},
};

/// Lists the ledger.
///
/// Scope `read`, or `read:REALM` for that realm. Administrators' keys are shown to administrators alone.
#[utoipa::path(
    get, path = "/v1/api-keys", operation_id = "list_api_keys",
    params(
        ("realm" = Option<schema::RealmOrNothing>, Query, description = "This realm alone."),
        ("app_id" = Option<schema::AppIdOrNothing>, Query, description = "This app alone."),
        ("cursor" = Option<String>, Query, description = "A page's `next_cursor`."),
        ("limit" = Option<schema::PageSizeOrNothing>, Query, description = "At most so many; 100 if not said."),
    ),
    responses((status = 200, description = "A page of it, the oldest first.", body = Page), Guarded)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page>, Problem> {
    let mut wanted = parse(query.as_deref())?;
    caller.needs(
        &app,
        wanted.realm.map_or(Permission::anywhere(Scope::Read), |realm| Permission::in_realm(Scope::Read, realm)),
    )?;
    // Whoever may not ask for the administrators' keys does not get them among all others.
    wanted.without = caller.lacks(Permission::in_realm(Scope::Read, Realm::ADMIN)).then_some(Realm::ADMIN);
    let page = blocking::run(move || {
        let is_known =
            |realm: Realm| realm == Realm::ADMIN || app.snapshot().config.realms.contains_key(realm.as_str());
        match wanted.realm.filter(|realm| !is_known(*realm)) {
            Some(realm) if !app.store.has_realm(realm)? => Err(PageError::Realm(realm)),
            _ => Page::read(&*app.store, &wanted, clock::now()),
        }
    })
    .await?;
    page.map(Json).map_err(|error| match error {
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
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
) -> Result<Json<ApiKeyView>, Problem> {
    let id = parse_id(&id)?;
    caller.needs(&app, Permission::in_realm(Scope::Read, id.realm()))?;
    let row = blocking::run(move || app.store.find(&id)).await??;
    row.map(|row| Json(ApiKeyView::new(row, clock::now()))).ok_or_else(Problem::unknown_api_key)
}

/// An id as a request names it.
pub(super) fn parse_id(id: &str) -> Result<ApiKeyId, Problem> {
    id.parse().map_err(|error| Problem::bad_request(format!("{error}")))
}

/// An empty value is a form's way of saying nothing.
fn said(value: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    value.filter(|value| !value.is_empty())
}

fn parse(query: Option<&str>) -> Result<Wanted, Problem> {
    let [realm, app_id, cursor, limit] = query::read(query, ["realm", "app_id", "cursor", "limit"])?;
    let wrong = |what: &str| Problem::bad_request(what);
    Ok(Wanted {
        realm: said(realm).map(|realm| realm.parse()).transpose().map_err(|_| wrong("`realm` is no realm"))?,
        app_id: said(app_id).map(|app| app.parse()).transpose().map_err(|_| wrong("`app_id` has to be a UUID"))?,
        cursor: said(cursor).map(Cow::into_owned),
        limit: said(limit).map(|limit| limit.parse()).transpose().map_err(|_| wrong("`limit` has to be a number"))?,
        ..Wanted::default()
    })
}
