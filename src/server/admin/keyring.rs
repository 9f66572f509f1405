//! The keyring over the admin plane: the versions on record, and the moves of a version's life.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, RawQuery, Request, State},
    http::StatusCode,
};
use bulla::KeyVersion;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::auth::{Caller, Permission};
use crate::{
    action::keyring::{Activate, Change, Changed, Compromise, Stage},
    clock, schema,
    scope::Scope,
    server::{
        App, blocking,
        body::{self, Bounds},
        feed::Feed,
        openapi::problems::{Guarded, KeyringState, MediaType, UnknownVersion},
        problem::Problem,
        segment::Segment,
    },
    view::keyring::KeyringView,
};

/// Shows the keyring.
///
/// Scope `read` or `keyring`.
#[utoipa::path(
    get, path = "/v1/keyring", operation_id = "show_keyring",
    params(("count" = Option<schema::Counted>, Query, description = "Counts the API keys that die with each version, too.")),
    responses((status = 200, description = "Its versions, without any key.", body = KeyringView), Guarded)
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<KeyringView>, Problem> {
    caller.needs_one_of(&app, &[Permission::anywhere(Scope::Read), Permission::anywhere(Scope::Keyring)])?;
    let counting = match query.as_deref() {
        None | Some("" | "count=") => false,
        Some("count=active") => true,
        Some(_) => return Err(Problem::bad_request("the query is `count=active`, or there is none")),
    };
    let shown = blocking::run(move || {
        let counts = app.store.seal_counts()?;
        let view = KeyringView::new(&app.snapshot().document, &counts, app.feed.as_ref().map(Feed::public_key));
        if counting { view.counting(&*app.store, clock::now()) } else { Ok(view) }
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
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Keyring))?;
    let stage = body::json(request, Bounds::single(&app.config.server)).await?;
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
    Extension(caller): Extension<Caller>,
    Segment(number): Segment,
    request: Request,
) -> Result<Json<Changed>, Problem> {
    let (version, options) = read(&app, &caller, &number, request).await?;
    apply(app, caller, Change::Activate(version, options)).await
}

/// Gives a version up that somebody else may have.
///
/// Scope `keyring`. No API key of it is accepted any more.
#[utoipa::path(
    post, path = "/v1/keyring/versions/{number}/compromise", params(("number" = schema::KeyVersion, Path)),
    request_body = Option<Compromise>,
    responses(
        (status = 200, description = "It is compromised.", body = Changed),
        Guarded, UnknownVersion, KeyringState, MediaType,
    )
)]
pub(super) async fn compromise(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(number): Segment,
    request: Request,
) -> Result<Json<Changed>, Problem> {
    let (version, options) = read(&app, &caller, &number, request).await?;
    apply(app, caller, Change::Compromise(version, options)).await
}

/// Forgets a version's key material.
///
/// Scope `keyring`. The body, where there is one, is `{}`.
#[utoipa::path(
    post, path = "/v1/keyring/versions/{number}/destroy", params(("number" = schema::KeyVersion, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, description = "It is destroyed.", body = Changed),
        Guarded, UnknownVersion, KeyringState, MediaType,
    )
)]
pub(super) async fn destroy(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(number): Segment,
    request: Request,
) -> Result<Json<Changed>, Problem> {
    let (version, Nothing {}) = read(&app, &caller, &number, request).await?;
    apply(app, caller, Change::Destroy(version)).await
}

/// An object without fields.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Which version, and the options, which may be left out.
async fn read<T: DeserializeOwned + Default>(
    app: &App,
    caller: &Caller,
    number: &str,
    request: Request,
) -> Result<(KeyVersion, T), Problem> {
    caller.needs(app, Permission::anywhere(Scope::Keyring))?;
    let version = number.parse().ok().and_then(KeyVersion::new);
    let version = version.ok_or_else(|| Problem::bad_request("a key version is a number from 1"))?;
    let options = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    Ok((version, options))
}

/// Changes the keyring and takes the change up here at once; other processes follow within the refresh interval. What is
/// written is done: trouble with taking it up is a warning.
async fn apply(app: Arc<App>, caller: Caller, change: Change) -> Result<Json<Changed>, Problem> {
    let changed = blocking::run(move || {
        let mut changed = change.apply(&app.deployment(), &*app.store, &caller.actor(), clock::now())?;
        changed.warn(app.take_up(change.loads().then_some(changed.version)));
        Ok::<_, Problem>(changed)
    });
    changed.await?.map(Json)
}
