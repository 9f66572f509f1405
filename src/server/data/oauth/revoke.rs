//! `POST /v1/revoke`: token revocation (RFC 7009), by a client that may revoke.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bulla::{ApiKey, ApiKeyId};

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
        App, auth::Permission, blocking, core::Door, data::unread_imports::read_imported, extract::Query,
        listener::Peer, problem::Problem, propagation, put_in_force::put_in_force, snapshot::Snapshot,
    },
    tls::ClientCertificate,
    verification::{EndingError, halves, is_nearly_a_key, meant},
};

/// The client has to know that nothing was revoked: what it holds is most of a key that may be good.
const NEARLY: &str = "`token` is not an API key, and holds one or what may be a part of one: send the key alone, whole \
    and as it was issued. A key of which there is only the id is revoked on the admin plane (`DELETE /v1/api-keys/{id}`)";

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
    let Found { ids, rest } = find(&app, caller.snapshot(), &token).await?;
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
    rest?;
    if let Some(wait) = wait {
        let goal = propagation::log_of(&app, clock::now());
        let propagation = propagation::reached_by_all(&app, goal, wait.0).await;
        if !propagation.is_complete() {
            return Ok((StatusCode::ACCEPTED, [NO_STORE], Json(Waited { propagation })).into_response());
        }
    }
    Ok((StatusCode::OK, [NO_STORE]).into_response())
}

/// What a token is.
struct Found {
    /// The keys. Where there is none and nothing is open, the token never was a key.
    ids: Vec<ApiKeyId>,
    /// An error where it may be further keys.
    rest: Result<(), Problem>,
}

async fn find(app: &Arc<App>, snapshot: &Snapshot, token: &str) -> Result<Found, Problem> {
    let texts = meant(token);
    let is_own = matches!(texts[..], [text] if text.parse::<ApiKey>().is_ok());
    let mut rest = if is_own { Ok(()) } else { read_imported(app).await };
    for text in texts {
        match app.verification.keys_to_end(snapshot, text).await {
            Ok(ids) if ids.is_empty() => {}
            Ok(ids) => return Ok(Found { ids, rest }),
            Err(error) => {
                let untold = not_told(&error);
                let EndingError::Partly(ids) = error else { return Err(untold) };
                return Ok(Found { ids, rest: Err(untold) });
            }
        }
    }
    // Either half of Basic may be the key, and both of them may be one.
    let (halves, mut ids) = (halves(token), Vec::new());
    for half in &halves {
        match app.verification.keys_to_end(snapshot, half).await {
            Ok(found) => ids.extend(found),
            Err(error) => {
                rest = rest.and(Err(not_told(&error)));
                if let EndingError::Partly(found) = error {
                    ids.extend(found);
                }
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        rest?;
        let realms = snapshot.config.all_realms();
        if is_nearly_a_key(token, &realms) || halves.iter().any(|half| is_nearly_a_key(half, &realms)) {
            return Err(Problem::bad_request(NEARLY));
        }
        rest = Ok(());
    }
    Ok(Found { ids, rest })
}

fn not_told(error: &EndingError) -> Problem {
    Problem::not_told(error.to_string())
}
