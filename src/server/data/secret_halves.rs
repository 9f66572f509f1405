//! `/v1/secret-halves`: for edges that ask a node about secret halves. They remember a right one, and hear here which
//! ones were changed, so that what they remember ends with the secret half.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, header},
};
use bulla::{ApiKeyId, VerifyError};
use tokio::time::Instant;

use super::{feed::granted, verify::wanted};
use crate::{
    api::{
        responses::{AheadOfLog, BadRequest, BodyProblems, Credential, Internal, Unavailable},
        secret_halves::{ChangedSecret, ChangedSecrets, CheckedSecret, SecretChangesQuery},
        verify::VerifyRequest,
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::Caller,
        core::Door,
        extract::{JsonBody, Query},
        listener::Peer,
        problem::Problem,
        revocations::HEALTH,
        stream_credential::{RECHECK_INTERVAL, StreamCredential},
    },
    verification::Accepted,
};

/// The longest wait. An edge that heard nothing for twice as long remembers nothing.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How long an edge waits for this node to get to a place that it reached at another one.
const LONGEST_LAG: Duration = Duration::from_secs(1);
/// A node that has not read its store for so long says nothing about it.
const LONGEST_UNREAD: Duration = Duration::from_secs(5);

const NO_STORE: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// Tells which secret halves were changed.
///
/// For edges that ask about secret halves, with the API key that the feed is read with, of the scope `feed` or
/// `feed:REALM`. With `wait` the answer comes once one is changed behind `after`. A new key counts as changed.
#[utoipa::path(
    get, path = "/v1/secret-halves", operation_id = "secret_changes",
    params(SecretChangesQuery),
    responses(
        (status = 200, description = "The changes after a place.", body = ChangedSecrets,
            headers(("Cache-Control" = String))),
        BadRequest, Credential, AheadOfLog, Internal, Unavailable,
    )
)]
pub(super) async fn secret_changes(
    State(app): State<Arc<App>>,
    peer: Peer,
    caller: Caller,
    Query(query): Query<SecretChangesQuery>,
    headers: HeaderMap,
) -> Result<([(HeaderName, &'static str); 1], Json<ChangedSecrets>), Problem> {
    let mut credential = StreamCredential::of(&app, &headers, peer).await.ok_or_else(Problem::unauthorized)?;
    let realm = granted(&app, &caller, query.realm).await?;
    if let Some(after) = query.after {
        wait(&app, &mut credential, after, query.wait.map(|wait| wait.0).unwrap_or_default()).await?;
    }
    let log_id = readable_log(&app)?;
    let changes = app.secrets.changes();
    let (seq, changed) = query.after.map_or_else(|| (changes.seen(), None), |after| changes.behind(after));
    if let Some(after) = query.after.filter(|after| *after > seq) {
        return Err(Problem::ahead_of_log(after, seq));
    }
    let concerns = |id: &ApiKeyId| realm.is_none_or(|realm| id.realm() == realm);
    let changed = changed.map(|all| {
        all.into_iter().filter(|(_, id)| concerns(id)).map(|(seq, id)| ChangedSecret::new(seq, id)).collect()
    });
    Ok(([NO_STORE], Json(ChangedSecrets { log_id, seq, changed })))
}

/// Waits for a change behind `after`, and only while the edge's key is accepted.
async fn wait(app: &Arc<App>, credential: &mut StreamCredential, after: u64, wished: Duration) -> Result<(), Problem> {
    // Another node may be ahead of this one for a moment.
    if after > 0 {
        app.secrets_beyond(after - 1, LONGEST_LAG).await;
    }
    let until = Instant::now() + MAX_WAIT.min(wished).min(app.config.server.idle_timeout.0 / 2);
    // A node that does not know its store any more says so at once.
    while app.secrets.changes().seen() == after && readable_log(app).is_ok() && !*app.stopping.borrow() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        app.secrets_beyond(after, RECHECK_INTERVAL.min(left)).await;
        if !credential.holds(app).await {
            app.metrics.admin_refused.inc();
            return Err(Problem::unauthorized());
        }
    }
    Ok(())
}

/// The log of the store, whose changes this node has read up to a moment ago.
fn readable_log(app: &App) -> Result<String, Problem> {
    let is_read = app.health.since(HEALTH).is_none() && app.revocations.unread_for() < LONGEST_UNREAD;
    let log_id = app.revocations.place().0.filter(|_| is_read);
    log_id.ok_or_else(|| Problem::unavailable("this server cannot read its own store at the moment"))
}

/// Verifies an API key for an edge, which may remember the answer.
///
/// With the API key that the feed is read with, of the scope `feed` or `feed:REALM`. The request is that of
/// `/v1/verify`. Whether a key with a secret half is accepted, and at which place among the changes of secret halves
/// that was so: the edge remembers it until it hears that this key's was changed behind that place.
#[utoipa::path(
    post, path = "/v1/secret-halves", operation_id = "check_secret", request_body = VerifyRequest,
    responses(
        (status = 200, description = "Accepted, or not.", body = CheckedSecret,
            headers(("Cache-Control" = String))),
        BodyProblems, Credential, Internal, Unavailable,
    )
)]
pub(super) async fn check_secret(
    State(app): State<Arc<App>>,
    door: Door,
    peer: Peer,
    caller: Caller,
    body: JsonBody<VerifyRequest>,
) -> Result<([(HeaderName, &'static str); 1], Json<CheckedSecret>), Problem> {
    let caller = caller.after_body(&app, body.headers(), peer).await?;
    caller.needs_for_some_realm(&app, &[Scope::Feed])?;
    let request = body.parse()?;
    let snapshot = door.enter();
    let (api_key, wanted) = wanted(&snapshot, request)?;
    let verdict = app.verification.verify(&snapshot, &api_key, &wanted).await;
    let answer = match verdict {
        Ok(Accepted::Sealed(verified)) => match app.secrets.proof(&api_key, &verified.id()).await {
            Some((proof, log_id)) => CheckedSecret {
                active: true,
                log_id: Some(log_id),
                seq: Some(proof.as_of),
                ends_in: proof.end.map(|end| end.left(clock::now_seconds())),
            },
            None => CheckedSecret { active: true, ..CheckedSecret::default() },
        },
        Ok(Accepted::Imported(_)) => CheckedSecret { active: true, ..CheckedSecret::default() },
        Err(VerifyError::Rejected(_)) => CheckedSecret::default(),
        Err(VerifyError::SecretUnchecked | VerifyError::Stale) => return Err(Problem::could_not_tell()),
    };
    Ok(([NO_STORE], Json(answer)))
}
