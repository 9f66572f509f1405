//! `GET` and `DELETE /v1/followers`, and `DELETE /v1/followers/{name}`: the nodes and followers that are registered.

use std::sync::Arc;

use axum::{Json, extract::State};

use crate::{
    action::fleet,
    api::{
        fleet::{Fleet, FollowersQuery, ForgetQuery, Forgotten, ForgottenApp, MemberName},
        followers::check_name,
        responses::Guarded,
        schema,
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{NoQuery, PathParam, PathSegment, Query},
        problem::Problem,
    },
};

impl PathSegment for MemberName {
    fn parse(segment: &str) -> Result<Self, String> {
        check_name(segment).map(|()| MemberName(segment.to_owned()))
    }
}

/// Lists the nodes on this store and the followers of the feed.
///
/// Scope `read`. Each with its place in the log, the key versions and realms that it verifies, and what is wrong with
/// it.
#[utoipa::path(
    get, path = "/v1/followers", operation_id = "list_followers", params(FollowersQuery),
    responses((status = 200, description = "A page of them, by name.", body = Fleet), Guarded)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<FollowersQuery>,
) -> Result<Json<Fleet>, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Read))?;
    let page = blocking::run(move || {
        let now = clock::now();
        let active = caller.snapshot().document.active().map(|record| record.number.number());
        let heard_after = fleet::heard_after(app.config.fleet.forget_after, now);
        Fleet::read(&*app.store, &query, active, (now, heard_after))
    });
    Ok(Json(page.await??))
}

/// Forgets a node or follower that is gone for good.
///
/// Scope `admin`. Nothing waits for it any more. One that still reports is there again with its next report.
#[utoipa::path(
    delete, path = "/v1/followers/{name}", operation_id = "forget_follower",
    params(("name" = schema::FollowerName, Path)),
    responses((status = 200, description = "Forgotten, or nobody was registered under this name.", body = Forgotten), Guarded)
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(name): PathParam<MemberName>,
    _none: NoQuery,
) -> Result<Json<Forgotten>, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Admin))?;
    let forgotten = blocking::run(move || fleet::forget(&*app.store, &caller.actor(), &name.0, clock::now()));
    Ok(Json(forgotten.await??))
}

/// Forgets every follower that an app registered.
///
/// Scope `admin`. For an app whose API key of the feed is stolen: revoke that key first. What still reports is there
/// again with its next report.
#[utoipa::path(
    delete, path = "/v1/followers", operation_id = "forget_followers", params(ForgetQuery),
    responses((status = 200, description = "They are forgotten.", body = ForgottenApp), Guarded)
)]
pub(super) async fn forget_app(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ForgetQuery>,
) -> Result<Json<ForgottenApp>, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Admin))?;
    let forgotten = blocking::run(move || fleet::forget_app(&*app.store, &caller.actor(), query.app_id, clock::now()));
    Ok(Json(forgotten.await??))
}
