//! `GET /v1/api-keys` and `GET /v1/api-keys/{id}`: the ledger.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, RawQuery, State},
};
use bulla::{ApiKeyId, Realm};

use super::auth::{Caller, Permission};
use crate::{
    clock, schema,
    server::{
        App, blocking,
        openapi::problems::{Guarded, UnknownApiKey},
        problem::Problem,
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
    let mut wanted = parse(query.as_deref().unwrap_or_default())?;
    caller
        .needs(&app, wanted.realm.map_or(Permission::anywhere("read"), |realm| Permission::in_realm("read", realm)))?;
    // Whoever may not ask for the administrators' keys does not get them among all others.
    wanted.without = caller.lacks(Permission::in_realm("read", Realm::ADMIN)).then_some(Realm::ADMIN);
    let page = blocking::run(move || Page::read(&*app.store, &wanted, clock::now())).await?;
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
    caller.needs(&app, Permission::in_realm("read", id.realm()))?;
    let row = blocking::run(move || app.store.find(&id)).await??;
    row.map(|row| Json(ApiKeyView::new(row, clock::now()))).ok_or_else(Problem::unknown_api_key)
}

/// An id as a request names it.
pub(super) fn parse_id(id: &str) -> Result<ApiKeyId, Problem> {
    id.parse().map_err(|error| Problem::bad_request(format!("{error}")))
}

fn parse(query: &str) -> Result<Wanted, Problem> {
    let mut wanted = Wanted::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |what: &str| Problem::bad_request(format!("`{name}` {what}"));
        match &*name {
            // An empty value is a form's way of saying nothing.
            _ if value.is_empty() => {}
            "realm" => wanted.realm = Some(value.parse().map_err(|_| wrong("is no realm"))?),
            "app_id" => wanted.app_id = Some(value.parse().map_err(|_| wrong("has to be a UUID"))?),
            "cursor" => wanted.cursor = Some(value.into_owned()),
            "limit" => wanted.limit = Some(value.parse().map_err(|_| wrong("has to be a number"))?),
            _ => {
                return Err(Problem::bad_request(
                    "the query has `realm`, `app_id`, `cursor` and `limit`, and nothing else",
                ));
            }
        }
    }
    Ok(wanted)
}
