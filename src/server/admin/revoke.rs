//! Revoking, suspending and resuming keys: `DELETE /v1/api-keys/{id}`, `/suspend`, `/resume`, and
//! `POST /v1/revocations`.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    action::{
        ActionError,
        revoke::{self, MAX_IDS, RevokeContext},
    },
    api::{
        keyring::ActiveKeys,
        propagation::{Propagates, WaitQuery},
        responses::{ApiKeyState, Guarded, MediaType},
        revoke::{Reason, RevokeOutcome, RevokeQuery, RevokeRequest, RevokeResponse},
        schema,
    },
    clock,
    config::Span,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{Batch, JsonBody, PathParam, Query},
        problem::Problem,
        propagation,
        put_in_force::put_in_force,
    },
};

/// Revokes an API key permanently.
///
/// Scope `revoke`, or `revoke:REALM`. Any well-formed id is accepted, in the ledger or not. To repeat it is a 200 as
/// well.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}",
    params(("id" = schema::ApiKeyId, Path), RevokeQuery),
    responses(
        (status = 200, description = "It is revoked, now or already.", body = RevokeOutcome),
        (status = 202, description = "It is revoked, and not in force everywhere yet.", body = RevokeOutcome),
        Guarded,
    )
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    Query(query): Query<RevokeQuery>,
) -> Result<(StatusCode, Json<RevokeOutcome>), Problem> {
    caller.needs(&app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    apply(app, caller, (query.reason, query.wait), move |context| context.revoke(id, "api_key.revoke")).await
}

/// Suspends an API key until it is resumed.
///
/// Scope `revoke`, or `revoke:REALM`.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/suspend", params(("id" = schema::ApiKeyId, Path), WaitQuery),
    request_body = Option<Reason>,
    responses(
        (status = 200, description = "It is suspended.", body = RevokeOutcome),
        (status = 202, description = "The same, and not in force everywhere yet.", body = RevokeOutcome),
        Guarded, ApiKeyState, MediaType,
    )
)]
pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    Query(query): Query<WaitQuery>,
    body: JsonBody<Reason>,
) -> Result<(StatusCode, Json<RevokeOutcome>), Problem> {
    change(app, caller, id, (body, query.wait), |context, id| context.suspend(id)).await
}

/// Ends a suspension.
///
/// Scope `revoke`, or `revoke:REALM`.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/resume", params(("id" = schema::ApiKeyId, Path), WaitQuery),
    request_body = Option<Reason>,
    responses(
        (status = 200, description = "It is not suspended any more.", body = RevokeOutcome),
        (status = 202, description = "The same, and not in force everywhere yet.", body = RevokeOutcome),
        Guarded, ApiKeyState, MediaType,
    )
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    Query(query): Query<WaitQuery>,
    body: JsonBody<Reason>,
) -> Result<(StatusCode, Json<RevokeOutcome>), Problem> {
    change(app, caller, id, (body, query.wait), |context, id| context.resume(id)).await
}

async fn change(
    app: Arc<App>,
    caller: Caller,
    id: ApiKeyId,
    (body, wait): (JsonBody<Reason>, Option<Span>),
    what: fn(RevokeContext<'_>, ApiKeyId) -> Result<RevokeOutcome, ActionError>,
) -> Result<(StatusCode, Json<RevokeOutcome>), Problem> {
    caller.needs(&app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    let Reason { reason } = body.parse_or_default()?;
    apply(app, caller, (reason, wait), move |context| what(context, id)).await
}

/// Revokes many API keys.
///
/// Scope `revoke`, or `revoke:REALM`. Either `ids` alone, or `app_id`, with `realm` for that realm alone, or `realm`
/// with `issued_before`. A dry run only counts.
#[utoipa::path(
    post, path = "/v1/revocations", params(WaitQuery), request_body = RevokeRequest,
    responses(
        (status = 200, description = "How many, or by which rule; for a dry run, how many active keys.", body = RevokeResponse),
        (status = 202, description = "The same, and not in force everywhere yet.", body = RevokeResponse),
        Guarded, MediaType,
    )
)]
pub(super) async fn revoke_many(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    body: JsonBody<RevokeRequest, Batch>,
) -> Result<(StatusCode, Json<RevokeResponse>), Problem> {
    let request = body.parse()?;
    let realm = request.realm.as_deref().map(str::parse::<Realm>).transpose();
    let realm = realm.map_err(|error| Problem::bad_request(format!("`realm`: {error}")))?;
    if let Some(realm) = realm.filter(|realm| !request.force && !caller.snapshot().config.has_realm(*realm)) {
        return Err(Problem::bad_request(format!(
            "`realm`: there is no realm `{realm}` in the configuration; with `\"force\":true` it is revoked all the same"
        )));
    }
    match (request.ids.is_empty(), request.app_id, realm, request.issued_before) {
        (false, ..) if request.dry_run => {
            Err(Problem::bad_request("`dry_run` goes with `app_id` or `realm`, not with `ids`"))
        }
        (false, None, None, None) => revoke_ids(app, caller, request.ids, (request.reason, wait)).await,
        (true, Some(app_id), realm, before) => {
            // Every realm includes the administrators'.
            caller.needs(&app, Permission::in_realm(Scope::Revoke, realm.unwrap_or(Realm::ADMIN)))?;
            if request.dry_run {
                return count(app, Some(app_id), realm, before).await;
            }
            let how = (request.reason, wait);
            as_response(apply(app, caller, how, move |context| context.revoke_app(app_id, realm, before)).await)
        }
        (true, None, Some(realm), Some(before)) => {
            caller.needs(&app, Permission::in_realm(Scope::Revoke, realm))?;
            if request.dry_run {
                return count(app, None, Some(realm), Some(before)).await;
            }
            let how = (request.reason, wait);
            as_response(apply(app, caller, how, move |context| context.revoke_realm(realm, before)).await)
        }
        _ => Err(Problem::bad_request(
            "name `ids` alone, or `app_id` (with `realm` for that realm alone), or `realm` with `issued_before`",
        )),
    }
}

/// Counts the active keys that a rule would revoke.
async fn count(
    app: Arc<App>,
    app_id: Option<Uuid>,
    realm: Option<Realm>,
    before: Option<Timestamp>,
) -> Result<(StatusCode, Json<RevokeResponse>), Problem> {
    let counted =
        blocking::run(move || app.store.count_active_issued_before(app_id, realm, before, clock::now())).await??;
    let (all, administrators) = counted;
    Ok((StatusCode::OK, Json(RevokeResponse::Count(ActiveKeys { all, administrators }))))
}

async fn revoke_ids(
    app: Arc<App>,
    caller: Caller,
    ids: Vec<String>,
    how: (Option<String>, Option<Span>),
) -> Result<(StatusCode, Json<RevokeResponse>), Problem> {
    if ids.len() > MAX_IDS {
        return Err(Problem::bad_request(format!("`ids` holds {} ids and may hold {MAX_IDS}", ids.len())));
    }
    let ids: Result<Vec<ApiKeyId>, _> = ids.iter().map(|id| id.parse()).collect();
    let ids = ids.map_err(|error| Problem::bad_request(format!("{error}")))?;
    for id in &ids {
        caller.needs(&app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    }
    as_response(apply(app, caller, how, move |context| context.revoke_all(&ids)).await)
}

/// Changes the log, and puts the change in force here before it is acknowledged; with a wait everywhere, or 202.
async fn apply<T: Propagates + Send + 'static>(
    app: Arc<App>,
    caller: Caller,
    (reason, wait): (Option<String>, Option<Span>),
    what: impl FnOnce(RevokeContext<'_>) -> Result<T, ActionError> + Send + 'static,
) -> Result<(StatusCode, Json<T>), Problem> {
    let reason = revoke::reason(reason)?;
    let worker = Arc::clone(&app);
    let outcome = blocking::run(move || {
        let (store, fleet, actor) = (&*worker.store, &worker.config.fleet, caller.actor());
        let outcome = what(RevokeContext { store, fleet, actor: &actor, now: clock::now(), reason })?;
        put_in_force(&worker)?;
        Ok::<_, Problem>(outcome)
    });
    let mut outcome = outcome.await??;
    let goal = propagation::log_of(&app, clock::now());
    let status = propagation::waited(&app, &mut outcome, goal, wait, StatusCode::OK).await;
    Ok((status, Json(outcome)))
}

fn as_response<T: Into<RevokeResponse>>(
    outcome: Result<(StatusCode, Json<T>), Problem>,
) -> Result<(StatusCode, Json<RevokeResponse>), Problem> {
    outcome.map(|(status, Json(outcome))| (status, Json(outcome.into())))
}
