//! `POST /v1/verify`.

use std::{net::IpAddr, sync::Arc};

use arc_swap::Guard;
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use super::{Written, realms::accepted_realms};
use crate::{
    api::{
        responses::{BodyProblems, CouldNotTellOrBusy},
        verdict::{VerifyAnswer, write_for_caller},
        verify::{Verification, VerifyRequest},
    },
    clock,
    server::{
        core::{Core, Door},
        extract::{body::Bounds, json},
        listener::Answer,
        problem::Problem,
        snapshot::Snapshot,
    },
    verification::{Accepted, Step, Verdict, Wanted},
};

/// Verifies an API key.
///
/// 200 whether it is accepted or not: `active` tells. Why a key is not active stands in metrics and log alone,
/// except for a missing scope.
#[utoipa::path(
    post, path = "/v1/verify", request_body = VerifyRequest,
    responses((status = 200, description = "Accepted, or not.", body = Verification), BodyProblems, CouldNotTellOrBusy)
)]
pub(super) async fn verify(State(core): State<Core>, request: Request) -> Response {
    answer(&core, request).response().await
}

/// The same without a router. Nothing but the body waits, so the future holds nothing else.
pub(super) fn answer(core: &Core, request: Request) -> Answer {
    let body = match json::read(request, Bounds::single(&core.config.server)) {
        Ok(body) => body,
        Err(problem) => return Answer::Now(problem.into_response()),
    };
    let core = core.clone();
    Answer::later(async move {
        let answer = body.await.and_then(|body| decide(&core, &body));
        match answer {
            Ok(answer) => answer.response().await,
            Err(problem) => problem.into_response(),
        }
    })
}

fn decide(core: &Core, body: &[u8]) -> Result<Answer, Problem> {
    let request = json::parse(body)?;
    let snapshot = Door::pass_at_once(core);
    let (api_key, wanted) = wanted(&snapshot, request)?;
    let now = clock::now_seconds();
    match core.verification.begin(&snapshot, &api_key, &wanted, now) {
        Step::Done(ref verdict) if !matches!(verdict, Ok(Accepted::Imported(_))) => written(verdict).map(Answer::Now),
        step => {
            let (core, snapshot) = (core.clone(), Guard::into_inner(snapshot));
            Ok(Answer::later(async move {
                let verdict = match step {
                    Step::Done(verdict) => verdict,
                    Step::Ask(pending) => core.verification.finish(&snapshot, &api_key, &wanted, now, pending).await,
                };
                conclude(&core, snapshot, &verdict).await.into_response()
            }))
        }
    }
}

/// The answer, with a sealed key for an imported one.
async fn conclude(core: &Core, snapshot: Arc<Snapshot>, verdict: &Verdict) -> Result<Response, Problem> {
    if let Ok(Accepted::Imported(key)) = verdict
        && let Some(replacement) = core.verification.replacement(snapshot, Arc::clone(key)).await
    {
        let answer = VerifyAnswer::for_caller(verdict).ok_or_else(Problem::could_not_tell)?;
        let verification = Verification { answer, replacement: Some(replacement) };
        let json = serde_json::to_string(&verification).map_err(|_| Problem::internal())?;
        return Ok(Written(json).into_response());
    }
    written(verdict)
}

fn written(verdict: &Verdict) -> Result<Response, Problem> {
    let mut json = String::with_capacity(384);
    if write_for_caller(&mut json, verdict) {
        Ok(Written(json).into_response())
    } else {
        Err(Problem::could_not_tell())
    }
}

/// What was presented, and what its caller expects of it.
pub(super) fn wanted(snapshot: &Snapshot, request: VerifyRequest) -> Result<(String, Wanted), Problem> {
    let address = request.ip.map(|ip| ip.parse::<IpAddr>()).transpose();
    let wanted = Wanted {
        realms: accepted_realms(snapshot, &request.realms, "realms")?,
        scopes: request.scopes.into_entries(),
        audience: request.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` must be an IPv4 or IPv6 address"))?,
    };
    Ok((request.api_key, wanted))
}
