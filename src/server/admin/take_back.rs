//! Revoking, suspending and resuming keys: `DELETE /v1/api-keys/{id}`, `/suspend`, `/resume`, and `POST /v1/revocations`.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    extract::{Extension, RawQuery, Request, State},
};
use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Caller, Permission},
    ledger,
};
use crate::{
    action::{
        ActionError,
        take_back::{self, MAX_IDS, Ruled, TakeBack, Taken, TakenAll},
    },
    clock, schema,
    scope::Scope,
    server::{
        App, blocking,
        body::{self, Bounds},
        openapi::problems::{ApiKeyState, Guarded, MediaType},
        problem::Problem,
        query,
        segment::Segment,
    },
};

/// What `POST /v1/revocations` takes back: ids, or what an app or a realm was issued before some time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    /// These keys, and nothing else is said then.
    #[schema(value_type = Vec<schema::ApiKeyId>, max_items = 10_000)]
    #[serde(default)]
    ids: Vec<String>,
    /// Whatever this app was issued before that time, in this realm or in all.
    app_id: Option<Uuid>,
    /// Without `app_id`: whatever this realm issued before that time.
    #[schema(value_type = Option<schema::Realm>)]
    realm: Option<String>,
    /// At most five minutes ahead; until now, where it is not said.
    issued_before: Option<Timestamp>,
    #[schema(value_type = Option<schema::Note>)]
    reason: Option<String>,
    /// For a realm that the configuration does not have.
    #[serde(default)]
    force: bool,
}

/// What came of `POST /v1/revocations`: ids, or a rule.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Revoked {
    All(TakenAll),
    Ruled(Ruled),
}

#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Reason)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Why {
    #[schema(value_type = Option<schema::Note>)]
    reason: Option<String>,
}

/// Revokes an API key for good.
///
/// Scope `revoke`, or `revoke:REALM`. Any well-formed id will do, in the ledger or not. Again is 200 as well.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}",
    params(("id" = schema::ApiKeyId, Path), ("reason" = Option<schema::Note>, Query)),
    responses((status = 200, description = "It is revoked, now or already.", body = Taken), Guarded)
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
) -> Result<Json<Taken>, Problem> {
    let id = permitted(&app, &caller, &id)?;
    let [reason] = query::read(query.as_deref(), ["reason"])?;
    let reason = reason.map(Cow::into_owned);
    take(app, caller, reason, move |take_back| take_back.revoke(id, "api_key.revoke")).await.map(Json)
}

/// Takes an API key back until it is resumed.
///
/// Scope `revoke`, or `revoke:REALM`.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/suspend", params(("id" = schema::ApiKeyId, Path)),
    request_body = Option<Why>,
    responses((status = 200, description = "It is suspended.", body = Taken), Guarded, ApiKeyState, MediaType)
)]
pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    change(app, caller, &id, request, |take_back, id| take_back.suspend(id)).await
}

/// Ends a suspension.
///
/// Scope `revoke`, or `revoke:REALM`.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/resume", params(("id" = schema::ApiKeyId, Path)),
    request_body = Option<Why>,
    responses((status = 200, description = "It is not suspended any more.", body = Taken), Guarded, ApiKeyState, MediaType)
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    change(app, caller, &id, request, |take_back, id| take_back.resume(id)).await
}

async fn change(
    app: Arc<App>,
    caller: Caller,
    id: &str,
    request: Request,
    what: fn(TakeBack<'_>, ApiKeyId) -> Result<Taken, ActionError>,
) -> Result<Json<Taken>, Problem> {
    let id = permitted(&app, &caller, id)?;
    let why: Why = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    take(app, caller, why.reason, move |take_back| what(take_back, id)).await.map(Json)
}

/// Revokes many API keys.
///
/// Scope `revoke`, or `revoke:REALM`. Either `ids` alone, or `app_id`, with `realm` for that realm alone, or `realm` with
/// `issued_before`.
#[utoipa::path(
    post, path = "/v1/revocations", request_body = Revocation,
    responses(
        (status = 200, description = "How many, or by which rule.", body = Revoked),
        Guarded, MediaType,
    )
)]
pub(super) async fn revoke_many(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Revoked>, Problem> {
    let wanted: Revocation = body::json(request, Bounds::batch(&app.config.server)).await?;
    let realm = wanted.realm.as_deref().map(str::parse::<Realm>).transpose();
    let realm = realm.map_err(|error| Problem::bad_request(format!("`realm`: {error}")))?;
    let is_known = |realm: Realm| realm == Realm::ADMIN || app.snapshot().config.realms.contains_key(realm.as_str());
    if let Some(realm) = realm.filter(|realm| !wanted.force && !is_known(*realm)) {
        return Err(Problem::bad_request(format!(
            "`realm`: there is no realm `{realm}` in the configuration; with `\"force\":true` it is revoked all the same"
        )));
    }
    match (wanted.ids.is_empty(), wanted.app_id, realm, wanted.issued_before) {
        (false, None, None, None) => revoke_ids(app, caller, wanted.ids, wanted.reason).await,
        (true, Some(app_id), realm, before) => {
            // In every realm means the administrators' too.
            caller.needs(&app, Permission::in_realm(Scope::Revoke, realm.unwrap_or(Realm::ADMIN)))?;
            let ruled = take(app, caller, wanted.reason, move |take_back| take_back.revoke_app(app_id, realm, before));
            ruled.await.map(Revoked::Ruled).map(Json)
        }
        (true, None, Some(realm), Some(before)) => {
            caller.needs(&app, Permission::in_realm(Scope::Revoke, realm))?;
            let ruled = take(app, caller, wanted.reason, move |take_back| take_back.revoke_realm(realm, before));
            ruled.await.map(Revoked::Ruled).map(Json)
        }
        _ => Err(Problem::bad_request(
            "name `ids` alone, or `app_id` (with `realm` for that realm alone), or `realm` with `issued_before`",
        )),
    }
}

async fn revoke_ids(
    app: Arc<App>,
    caller: Caller,
    ids: Vec<String>,
    reason: Option<String>,
) -> Result<Json<Revoked>, Problem> {
    if ids.len() > MAX_IDS {
        return Err(Problem::bad_request(format!("`ids` holds {} ids and may hold {MAX_IDS}", ids.len())));
    }
    let ids: Result<Vec<ApiKeyId>, _> = ids.iter().map(|id| ledger::parse_id(id)).collect();
    let ids = ids?;
    for id in &ids {
        caller.needs(&app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    }
    take(app, caller, reason, move |take_back| take_back.revoke_all(&ids)).await.map(Revoked::All).map(Json)
}

/// The id of a key that the caller may revoke.
fn permitted(app: &App, caller: &Caller, id: &str) -> Result<ApiKeyId, Problem> {
    let id = ledger::parse_id(id)?;
    caller.needs(app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    Ok(id)
}

/// Takes back, and has it in force here before it is acknowledged.
async fn take<T: Send + 'static>(
    app: Arc<App>,
    caller: Caller,
    reason: Option<String>,
    what: impl FnOnce(TakeBack<'_>) -> Result<T, ActionError> + Send + 'static,
) -> Result<T, Problem> {
    let reason = take_back::reason(reason)?;
    blocking::run(move || {
        let taken = what(TakeBack { store: &*app.store, actor: &caller.actor(), now: clock::now(), reason })?;
        app.catch_up()?;
        Ok(taken)
    })
    .await?
}
