//! `POST /v1/revoke`: token revocation (RFC 7009), by a client that may revoke.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bulla::ApiKeyId;

use super::{NO_STORE, OauthProblem, OauthRequest, ask};
use crate::{
    action::revoke::RevokeContext,
    api::{
        introspect::RevocationRequest,
        propagation::{WaitQuery, Waited},
        responses::{BodyProblems, Credential, Internal, Unavailable},
    },
    clock,
    scope::Scope,
    server::{
        App, auth::Permission, blocking, core::Door, extract::Query, key_verifier::KeyVerifier, listener::Peer,
        problem::Problem, propagation, put_in_force::put_in_force, snapshot::Snapshot,
    },
    tls::ClientCertificate,
    verification::{is_nearly_a_key, meant},
};

/// The client has to know that nothing was revoked: what it holds is most of a key that may be good.
const NEARLY: &str = "`token` is not an API key, and holds one or a part of one: send the key alone, whole and as it \
    was issued. A key of which there is only the id is revoked on the admin plane (`DELETE /v1/api-keys/{id}`)";

/// Revokes an API key (RFC 7009).
///
/// With an administrator's API key that has the scope `revoke`, for all realms or for that of the key. A text that is
/// no genuine API key is answered alike, with 200 and no body. A key that was cut off or mistyped, one with other
/// characters around it, and an id are a 400, and what cannot be told from a good key here is a 503. With `wait`, which
/// RFC 7009 does not have, it is 202 where some have not got it in force.
#[utoipa::path(
    post, path = "/v1/revoke", operation_id = "revoke_token", params(WaitQuery),
    request_body(content_type = "application/x-www-form-urlencoded", content = RevocationRequest),
    responses(
        (status = 200, description = "It is revoked, or never was a key.", headers(("Cache-Control" = String))),
        (status = 202, description = "The same, and not in force everywhere yet.", body = Waited,
            headers(("Cache-Control" = String))),
        BodyProblems, Credential, Internal, Unavailable,
    )
)]
pub(in crate::server::data) async fn revoke(
    State(app): State<Arc<App>>,
    peer: Peer,
    door: Door,
    headers: HeaderMap,
    client: Option<Extension<Arc<ClientCertificate>>>,
    query: Result<Query<WaitQuery>, Problem>,
    request: Request,
) -> Result<Response, OauthProblem> {
    let Query(WaitQuery { wait }) = query?;
    let client = client.map(|Extension(client)| client);
    // For which realm shows when the key is known.
    let realms = door.look().config.all_realms();
    let one: Vec<_> = realms.iter().map(|realm| Permission::in_realm(Scope::Revoke, *realm)).collect();
    let OauthRequest { caller, form, .. } = ask(door, &headers, client.as_ref(), peer, request, &one).await?;
    let RevocationRequest { token } = form.parse()?;
    let ids = find(&app.verification, caller.snapshot(), &token).await?;
    for id in &ids {
        caller.needs(&app, Permission::in_realm(Scope::Revoke, id.realm()))?;
    }
    if !ids.is_empty() {
        let actor = caller.actor();
        let worker = Arc::clone(&app);
        let revoked = blocking::run(move || {
            let (store, fleet, now) = (&*worker.store, &worker.config.fleet, clock::now());
            let context = RevokeContext { store, fleet, actor: &actor, now, reason: None };
            context.revoke_same(&ids, "api_key.revoke")?;
            put_in_force(&worker)?;
            Ok::<_, Problem>(())
        });
        revoked.await??;
    }
    if let Some(wait) = wait {
        let goal = propagation::log_of(&app, clock::now());
        let propagation = propagation::reached_by_all(&app, goal, wait.0).await;
        if !propagation.is_complete() {
            return Ok((StatusCode::ACCEPTED, [NO_STORE], Json(Waited { propagation })).into_response());
        }
    }
    Ok((StatusCode::OK, [NO_STORE]).into_response())
}

/// The keys that the token is. Empty where it is none, and never where it may be one.
async fn find(verification: &KeyVerifier, snapshot: &Snapshot, token: &str) -> Result<Vec<ApiKeyId>, Problem> {
    for text in meant(token) {
        let ids = verification.keys_to_end(snapshot, text).await;
        let ids = ids.map_err(|error| Problem::not_told(error.to_string()))?;
        if !ids.is_empty() {
            return Ok(ids);
        }
    }
    match is_nearly_a_key(token, &snapshot.config.all_realms()) {
        true => Err(Problem::bad_request(NEARLY)),
        false => Ok(Vec::new()),
    }
}
