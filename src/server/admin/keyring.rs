//! The keyring over the admin plane: the versions on record, and the changes of their states.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use bulla::keyring::KeyVersion;

use crate::{
    action::keyring::Change,
    api::{
        keyring::{Activate, Changed, Compromise, Counted, KeyringQuery, KeyringView, Nothing, Stage},
        propagation::{Goal, WaitQuery},
        responses::{Guarded, KeyringState, MediaType, UnknownVersion},
        schema,
    },
    clock,
    config::Span,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{JsonBody, NoQuery, PathParam, Query},
        feed::Feed,
        problem::Problem,
        propagation,
    },
};

/// Shows the keyring.
///
/// Scope `read` or `keyring`.
#[utoipa::path(
    get, path = "/v1/keyring", operation_id = "show_keyring",
    params(KeyringQuery),
    responses((status = 200, description = "Its versions, without any key.", body = KeyringView), Guarded)
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<KeyringQuery>,
) -> Result<Json<KeyringView>, Problem> {
    caller.needs_one_of(&app, &[Permission::anywhere(Scope::Read), Permission::anywhere(Scope::Keyring)])?;
    let shown = blocking::run(move || {
        let counts = app.store.seal_counts()?.counts;
        let view = KeyringView::new(&caller.snapshot().document, &counts, app.feed.as_ref().map(Feed::public_key));
        match query.count {
            Some(Counted::Active) => view.counting(&*app.store, clock::now()),
            None => Ok(view),
        }
    });
    Ok(Json(shown.await??))
}

/// Stages a new key version.
///
/// Scope `keyring`. Every verifier opens with it before anything is sealed with it.
#[utoipa::path(
    post, path = "/v1/keyring/versions", request_body = Stage,
    responses((status = 201, description = "It is staged.", body = Changed), Guarded, KeyringState, MediaType)
)]
pub(super) async fn stage(
    State(app): State<Arc<App>>,
    caller: Caller,
    _none: NoQuery,
    body: JsonBody<Stage>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Keyring))?;
    let stage = body.parse()?;
    Ok((StatusCode::CREATED, apply(app, caller, Change::Stage(stage)).await?))
}

/// Seals with this version from now on.
///
/// Scope `keyring`. The version before is deactivated.
#[utoipa::path(
    post, path = "/v1/keyring/versions/{number}/activate", params(("number" = schema::KeyVersion, Path)),
    request_body = Option<Activate>,
    responses(
        (status = 200, description = "It is active.", body = Changed),
        Guarded, UnknownVersion, KeyringState, MediaType,
    )
)]
pub(super) async fn activate(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(version): PathParam<KeyVersion>,
    _none: NoQuery,
    body: JsonBody<Activate>,
) -> Result<Json<Changed>, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Keyring))?;
    let options = body.parse_or_default()?;
    apply(app, caller, Change::Activate(version, options)).await
}

/// Marks a version as compromised.
///
/// Scope `keyring`. No API key of it is accepted any more.
#[utoipa::path(
    post, path = "/v1/keyring/versions/{number}/compromise",
    params(("number" = schema::KeyVersion, Path), WaitQuery), request_body = Option<Compromise>,
    responses(
        (status = 200, description = "It is compromised.", body = Changed),
        (status = 202, description = "The same, and not known everywhere yet.", body = Changed),
        Guarded, UnknownVersion, KeyringState, MediaType,
    )
)]
pub(super) async fn compromise(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(version): PathParam<KeyVersion>,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    body: JsonBody<Compromise>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Keyring))?;
    let options = body.parse_or_default()?;
    end(app, caller, Change::Compromise(version, options), wait).await
}

/// Destroys a version's key material.
///
/// Scope `keyring`. The body, where there is one, is `{}`.
#[utoipa::path(
    post, path = "/v1/keyring/versions/{number}/destroy",
    params(("number" = schema::KeyVersion, Path), WaitQuery), request_body = Option<Nothing>,
    responses(
        (status = 200, description = "It is destroyed.", body = Changed),
        (status = 202, description = "The same, and not known everywhere yet.", body = Changed),
        Guarded, UnknownVersion, KeyringState, MediaType,
    )
)]
pub(super) async fn destroy(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(version): PathParam<KeyVersion>,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    body: JsonBody<Nothing>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Keyring))?;
    let Nothing {} = body.parse_or_default()?;
    end(app, caller, Change::Destroy(version), wait).await
}

/// Ends a version's API keys here, and with a wait everywhere, or 202.
async fn end(
    app: Arc<App>,
    caller: Caller,
    change: Change,
    wait: Option<Span>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let Json(mut changed) = apply(Arc::clone(&app), caller, change).await?;
    let goal = Goal::Keyring(changed.serial);
    let status = propagation::waited(&app, &mut changed, goal, wait, StatusCode::OK).await;
    Ok((status, Json(changed)))
}

/// Changes the keyring and loads the change here at once; other processes follow within the refresh interval. Once it
/// is written it is done: an error while loading is a warning.
async fn apply(app: Arc<App>, caller: Caller, change: Change) -> Result<Json<Changed>, Problem> {
    let changed = blocking::run(move || {
        let deployment = app.reloader.deployment_of(caller.snapshot().config.clone());
        let mut changed = change.apply(&deployment, &*app.store, &caller.actor(), clock::now())?;
        changed.warn(app.reloader.take_up(change.loads().then_some(changed.version)));
        app.fleet.wake();
        Ok::<_, Problem>(changed)
    });
    changed.await?.map(Json)
}
