//! `POST /v1/api-keys/{id}/reroll` and `/reroll-secret`: a new key like this one, or a new secret half for its sealed text;
//! the old one ends after a grace period.

use std::sync::Arc;

use arc_swap::Guard;
use axum::{
    extract::{Extension, Request, State},
    response::Response,
};
use bulla::ApiKeyId;

use super::{
    auth::{Caller, Permission},
    issue, ledger,
};
use crate::{
    action::{
        reroll::{Reroll, Rerolled},
        reroll_secret::{RerollSecret, RerolledSecret},
    },
    clock, schema,
    scope::Scope,
    server::{
        App, blocking,
        body::{self, Bounds},
        openapi::problems::{ApiKeyState, Guarded, MediaType, Policy, UnknownApiKey},
        problem::Problem,
        segment::Segment,
    },
};

/// Issues a key like this one.
///
/// Scopes `issue` and `revoke`, or both for its realm. The old key is revoked after a grace period.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/reroll", params(("id" = schema::ApiKeyId, Path)),
    request_body = Option<Reroll>,
    responses(
        (status = 201, description = "The new key, shown this once.", body = Rerolled, headers(("Cache-Control" = String))),
        Guarded, UnknownApiKey, ApiKeyState, MediaType, Policy,
    )
)]
pub(super) async fn reroll(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id = permitted(&app, &caller, &id)?;
    let how: Reroll = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    let worker = Arc::clone(&app);
    let rerolled = blocking::run(move || {
        let rerolled = issue::issuing(&worker, &caller, |issuing| how.apply(id, issuing))?;
        worker.catch_up()?;
        Ok::<_, Problem>(rerolled)
    });
    let rerolled = rerolled.await??;
    issue::count(&app, &rerolled.issued);
    Ok(issue::created(&rerolled))
}

/// Draws a new secret half for a key that stays.
///
/// Scopes `issue` and `revoke`, or both for its realm. The old secret half ends after a grace period.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/reroll-secret", params(("id" = schema::ApiKeyId, Path)),
    request_body = Option<RerollSecret>,
    responses(
        (status = 201, description = "The key's new ending, shown this once.", body = RerolledSecret,
            headers(("Cache-Control" = String))),
        Guarded, UnknownApiKey, ApiKeyState, MediaType,
    )
)]
pub(super) async fn reroll_secret(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id = permitted(&app, &caller, &id)?;
    let how: RerollSecret = body::optional_json(request, Bounds::single(&app.config.server)).await?;
    let rerolled = blocking::run(move || {
        let snapshot = Guard::into_inner(app.snapshot());
        let with = (&snapshot.config, snapshot.peppers().map(Arc::as_ref));
        let rerolled = how.apply(id, &*app.store, with, &caller.actor(), clock::now())?;
        app.catch_up()?;
        Ok::<_, Problem>(rerolled)
    });
    Ok(issue::created(&rerolled.await??))
}

/// The id of a key that the caller may reroll, which is both to issue and to revoke.
fn permitted(app: &App, caller: &Caller, id: &str) -> Result<ApiKeyId, Problem> {
    let id = ledger::parse_id(id)?;
    caller.needs(app, Permission::in_realm(Scope::Issue, id.realm()))?;
    caller.needs(app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    Ok(id)
}
