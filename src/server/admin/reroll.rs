//! `POST /v1/api-keys/{id}/reroll` and `/reroll-secret`: replaces a key, or its secret half. The old one ends after a
//! grace period.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use bulla::ApiKeyId;

use super::issue;
use crate::{
    api::{
        propagation::{Propagates, Propagation, WaitQuery},
        reroll::{Reroll, RerollSecret, Rerolled, RerolledSecret},
        responses::{ApiKeyState, Guarded, MediaType, Policy, UnknownApiKey},
        schema,
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{JsonBody, NoQuery, PathParam, Query},
        problem::Problem,
        propagation,
        put_in_force::{NotInForce, put_in_force},
    },
};

/// Issues a key like this one.
///
/// Scopes `issue` and `revoke`, or both for its realm. The old key is revoked after a grace period.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/reroll", params(("id" = schema::ApiKeyId, Path), WaitQuery),
    request_body = Option<Reroll>,
    responses(
        (status = 201, description = "The new key, shown this once.", body = Rerolled, headers(("Cache-Control" = String))),
        (status = 202, description = "The same, and the old key's end is not known everywhere yet.", body = Rerolled,
            headers(("Cache-Control" = String))),
        Guarded, UnknownApiKey, ApiKeyState, MediaType, Policy,
    )
)]
pub(super) async fn reroll(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    Query(WaitQuery { wait }): Query<WaitQuery>,
    body: JsonBody<Reroll>,
) -> Result<Response, Problem> {
    needs_both(&app, &caller, id)?;
    let request = body.parse_or_default()?;
    let worker = Arc::clone(&app);
    let rerolled = blocking::run(move || {
        let mut rerolled = issue::issuing(&worker, &caller, |issuing| request.apply(id, issuing))?;
        // The new key is shown this once, so the answer is no problem.
        rerolled.warning = put_in_force(&worker).err().map(|error| of_the_end(&error));
        Ok::<_, Problem>(rerolled)
    });
    let mut rerolled = rerolled.await??;
    issue::count(&app, &rerolled.issued);
    let goal = propagation::log_of(&app, clock::now());
    let status = match (rerolled.warning.clone(), wait) {
        (Some(warning), Some(_)) => {
            rerolled.set_propagation(Propagation::unknown_place(warning));
            StatusCode::ACCEPTED
        }
        _ => propagation::waited(&app, &mut rerolled, goal, wait, StatusCode::CREATED).await,
    };
    Ok(issue::shown_once(status, &rerolled))
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
    caller: Caller,
    PathParam(id): PathParam<ApiKeyId>,
    _none: NoQuery,
    body: JsonBody<RerollSecret>,
) -> Result<Response, Problem> {
    needs_both(&app, &caller, id)?;
    let request = body.parse_or_default()?;
    let rerolled = blocking::run(move || {
        let snapshot = caller.snapshot();
        let with = (&snapshot.config, snapshot.peppers().map(Arc::as_ref));
        let mut rerolled = request.apply(id, &*app.store, with, &caller.actor(), clock::now())?;
        rerolled.warning = put_in_force(&app).err().map(|error| of_the_end(&error));
        Ok::<_, Problem>(rerolled)
    });
    Ok(issue::created(&rerolled.await??))
}

/// Tells what is not in force yet.
fn of_the_end(error: &NotInForce) -> String {
    format!("the new key is valid, but the end of the old key is not in force here: {error}")
}

/// To reroll is both to issue and to revoke.
fn needs_both(app: &App, caller: &Caller, id: ApiKeyId) -> Result<(), Problem> {
    caller.needs(app, Permission::in_realm(Scope::Issue, id.realm()))?;
    caller.needs(app, Permission::in_realm(Scope::Revoke, id.realm()))
}
