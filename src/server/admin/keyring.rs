//! The keyring over the admin plane: the versions on record, and the moves of a version's life.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Path, Request, State},
    http::StatusCode,
};
use bulla::KeyVersion;
use serde::{Deserialize, de::DeserializeOwned};

use super::auth::{Caller, Permission};
use crate::{
    action::keyring::{Change, Changed},
    clock,
    deployment::Deployment,
    server::{
        App, blocking,
        body::{self, Bounds},
        feed::Feed,
        problem::Problem,
    },
    view::keyring::KeyringView,
};

/// `GET /v1/keyring`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<KeyringView>, Problem> {
    caller.needs_one_of(&app, &[Permission::anywhere("read"), Permission::anywhere("keyring")])?;
    let worker = Arc::clone(&app);
    let counts = blocking::run(move || worker.store.seal_counts()).await??;
    Ok(Json(KeyringView::new(&app.snapshot().document, &counts, app.feed.as_ref().map(Feed::public_key))))
}

/// `POST /v1/keyring/versions`.
pub(super) async fn stage(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    caller.needs(&app, Permission::anywhere("keyring"))?;
    let stage = body::json(request, Bounds::single(&app.config.server)).await?;
    Ok((StatusCode::CREATED, apply(app, caller, Change::Stage(stage)).await?))
}

/// `POST /v1/keyring/versions/{n}/activate`.
pub(super) async fn activate(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    request: Request,
) -> Result<Json<Changed>, Problem> {
    let (version, options) = read(&app, &caller, &number, request).await?;
    apply(app, caller, Change::Activate(version, options)).await
}

/// `POST /v1/keyring/versions/{n}/compromise`.
pub(super) async fn compromise(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    request: Request,
) -> Result<Json<Changed>, Problem> {
    let (version, options) = read(&app, &caller, &number, request).await?;
    apply(app, caller, Change::Compromise(version, options)).await
}

/// `POST /v1/keyring/versions/{n}/destroy`.
pub(super) async fn destroy(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    request: Request,
) -> Result<Json<Changed>, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let (version, Nothing {}) = read(&app, &caller, &number, request).await?;
    apply(app, caller, Change::Destroy(version)).await
}

/// Which version, and the options, which may be left out.
async fn read<T: DeserializeOwned + Default>(
    app: &App,
    caller: &Caller,
    number: &str,
    request: Request,
) -> Result<(KeyVersion, T), Problem> {
    caller.needs(app, Permission::anywhere("keyring"))?;
    let version = number.parse().ok().and_then(KeyVersion::new);
    let version = version.ok_or_else(|| Problem::bad_request("a key version is a number from 1"))?;
    let options = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    Ok((version, options))
}

/// Changes the keyring and takes the change up here at once; other processes follow within the refresh interval. What is
/// written is done: trouble with taking it up is a warning.
async fn apply(app: Arc<App>, caller: Caller, change: Change) -> Result<Json<Changed>, Problem> {
    let changed = blocking::run(move || {
        let deployment = Deployment::of(app.snapshot().config.clone());
        let mut changed = change.apply(&deployment, &*app.store, &caller.actor(), clock::now())?;
        match app.reload(&deployment, false) {
            Ok(reloaded) => changed.warn(reloaded.failed),
            Err(error) => changed.warn(vec![error.to_string()]),
        }
        Ok::<_, Problem>(changed)
    });
    changed.await?.map(Json)
}
