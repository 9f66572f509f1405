//! `POST /v1/self-revoke`: everybody who holds a key can revoke it, also someone who found it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use bulla::{ApiKey, layer::Credential};

use super::unread_imports::read_imported;
use crate::{
    action::{Actor, revoke::RevokeContext},
    api::{
        propagation::{Propagates, Propagation, WaitQuery},
        responses::{BadRequest, Internal, TimedOut, TooLarge, Unauthorized, Unavailable},
        revoke::RevokeOutcome,
    },
    clock,
    server::{
        App,
        auth::browser,
        blocking, client_address,
        core::Door,
        extract::{
            Query,
            body::{self, Bounds},
        },
        listener::Peer,
        problem::Problem,
        propagation,
        put_in_force::put_in_force,
    },
    verification::EndingError,
};

/// A client of RFC 7009 authenticates with its own key, and names another one in the body. It must not revoke its own
/// key by mistake.
const NAMES_ANOTHER: &str = "this endpoint revokes the API key in the header. It takes no body and no query except `wait`, because \
    it would not revoke a key that is named there. Present the key to revoke in the header, or revoke it by its id on the admin \
    plane (`DELETE /v1/api-keys/{id}`). A client of RFC 7009 asks at `POST /v1/revoke`";

/// Revokes the presented API key.
///
/// Revokes it for good, in any realm. A key with a secret half can be presented without it. The key is in a header: a
/// request that may name another one, in its body or in its query, is a 400. With `wait` the answer counts who has it
/// in force, and names nobody.
#[utoipa::path(
    post, path = "/v1/self-revoke", params(WaitQuery),
    responses(
        (status = 200, description = "It is revoked, now or already.", body = RevokeOutcome),
        (status = 202, description = "It is revoked, and not in force everywhere yet.", body = RevokeOutcome),
        BadRequest, Unauthorized, TimedOut, TooLarge, Internal, Unavailable,
    )
)]
pub(super) async fn self_revoke(
    State(app): State<Arc<App>>,
    peer: Peer,
    door: Door,
    query: Result<Query<WaitQuery>, Problem>,
    request: Request,
) -> Result<(StatusCode, Json<RevokeOutcome>), Problem> {
    let (head, body) = request.into_parts();
    let headers = head.headers;
    let body = body::bytes(body, Bounds::single(&app.config.server)).await?;
    let Query(WaitQuery { wait }) = match query {
        Ok(query) => query,
        Err(wrong_wait) if head.uri.query().is_some_and(|query| query.starts_with("wait=") && !query.contains('&')) => {
            return Err(wrong_wait);
        }
        Err(_) => return Err(Problem::bad_request(NAMES_ANOTHER)),
    };
    if !matches!(body.trim_ascii(), b"" | b"{}") {
        return Err(Problem::bad_request(NAMES_ANOTHER));
    }
    if browser::may_use_a_login(&headers) {
        return Err(Problem::login_of_a_page());
    }
    let snapshot = door.enter();
    // In any realm: its holder sends it as to the API.
    let rules = snapshot.config.credential_rules(&snapshot.config.all_realms());
    let mut credential = app.verification.credential(&snapshot, &headers, &rules);
    let mut unread = Ok(());
    if matches!(&credential, Credential::One(text) if text.expose().parse::<ApiKey>().is_err()) {
        unread = read_imported(&app).await;
        // In Basic it is the half that is known.
        credential = app.verification.credential(&snapshot, &headers, &rules);
    }
    let text = match credential {
        Credential::One(text) => text,
        Credential::None => return Err(Problem::no_such_key()),
        Credential::Several => return Err(Problem::several_credentials()),
    };
    let (ids, untold) = match app.verification.keys_to_end(&snapshot, text.expose()).await {
        Ok(ids) => (ids, None),
        // Everybody can write such a text, and nobody is told that it was revoked.
        Err(EndingError::RealmUnknown(_) | EndingError::VersionUnknown(_)) => return Err(Problem::no_such_key()),
        Err(EndingError::VersionNotLoaded(_) | EndingError::Unchecked) => return Err(Problem::could_not_tell()),
        Err(error @ EndingError::Partly(_)) => {
            let untold = Problem::not_told(error.to_string());
            let EndingError::Partly(ids) = error else { return Err(untold) };
            (ids, Some(untold))
        }
    };
    let Some(id) = ids.first().copied() else {
        unread?;
        return Err(Problem::no_such_key());
    };
    let address = client_address::behind_gateway(&snapshot.config.data, peer, &headers);
    let actor = Actor::api_key(id, address.or(peer.0.map(|peer| peer.ip())));
    let worker = Arc::clone(&app);
    let taken = blocking::run(move || {
        let (store, fleet, now) = (&*worker.store, &worker.config.fleet, clock::now());
        let context = RevokeContext { store, fleet, actor: &actor, now, reason: None };
        let taken = context.revoke_same(&ids, "api_key.self_revoke")?;
        put_in_force(&worker)?;
        Ok::<_, Problem>(taken)
    });
    let mut taken = taken.await??;
    // It may be another key as well.
    unread?;
    if let Some(untold) = untold {
        return Err(untold);
    }
    let Some(wait) = wait else { return Ok((StatusCode::OK, Json(taken))) };
    let goal = propagation::log_of(&app, clock::now());
    let propagation = match app.fleet.holders.try_acquire() {
        Ok(_permit) => propagation::reached_by_all(&app, goal, wait.0).await.without_names(),
        Err(_) => Propagation::unknown(&goal, "too many requests wait already: ask again".to_owned()),
    };
    let status = propagation::status(&propagation, StatusCode::OK);
    taken.set_propagation(propagation);
    Ok((status, Json(taken)))
}
