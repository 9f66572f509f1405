//! `POST /v1/keyring/exports`: a realm's seal keys for an edge, sealed to it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use bulla::{Realm, keyring::Recipient};

use super::issue;
use crate::{
    action::export::export,
    api::{
        export::{ExportRequest, Exported},
        responses::{Guarded, MediaType},
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{JsonBody, NoQuery},
        problem::Problem,
    },
};

/// Exports a realm's keys to an edge.
///
/// Scope `admin`, because the edge can make API keys of the realm with them. They are sealed to the edge, and nobody
/// else can open them. The realm `bulla` is never exported.
#[utoipa::path(
    post, path = "/v1/keyring/exports", operation_id = "export_realm", request_body = ExportRequest,
    responses(
        (status = 201, description = "The export.", body = Exported, headers(("Cache-Control" = String))),
        Guarded, MediaType,
    )
)]
pub(super) async fn export_realm(
    State(app): State<Arc<App>>,
    caller: Caller,
    _none: NoQuery,
    body: JsonBody<ExportRequest>,
) -> Result<Response, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Admin))?;
    let ExportRequest { realm, recipient } = body.parse()?;
    let of: Realm = realm.parse().map_err(|error| Problem::bad_request(format!("realm: {error}")))?;
    let to: Recipient = recipient.parse().map_err(|error| Problem::bad_request(format!("recipient: {error}")))?;
    if of == Realm::ADMIN {
        return Err(Problem::bad_request("realm: keys of the realm `bulla` are never exported"));
    }
    if !caller.snapshot().config.has_realm(of) {
        return Err(Problem::bad_request(
            "realm: it is not in the configuration, and an edge verifies configured realms only",
        ));
    }
    let exported = blocking::run(move || {
        let deployment = app.reloader.deployment_of(caller.snapshot().config.clone());
        export((&deployment, &*app.store), (of, &to), &caller.actor(), clock::now())
    });
    Ok(issue::created(&Exported { export: exported.await??, realm, recipient }))
}
