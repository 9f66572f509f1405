//! `POST /v1/verify`.

use std::{net::IpAddr, sync::Arc};

use axum::extract::State;

use super::{Written, realms::accepted_realms};
use crate::{
    api::{
        responses::{BodyProblems, CouldNotTellOrBusy},
        verdict::{VerifyAnswer, write_for_caller},
        verify::{Verification, VerifyRequest},
    },
    server::{
        core::{Core, Door},
        extract::JsonBody,
        problem::Problem,
        snapshot::Snapshot,
    },
    verification::{Accepted, Wanted},
};

/// Verifies an API key.
///
/// 200 whether it is accepted or not: `active` tells. Why a key is not active stands in metrics and log alone,
/// except for a missing scope.
#[utoipa::path(
    post, path = "/v1/verify", request_body = VerifyRequest,
    responses((status = 200, description = "Accepted, or not.", body = Verification), BodyProblems, CouldNotTellOrBusy)
)]
pub(super) async fn verify(
    State(core): State<Core>,
    door: Door,
    body: JsonBody<VerifyRequest>,
) -> Result<Written, Problem> {
    let request = body.parse()?;
    let snapshot = door.enter();
    let (api_key, wanted) = wanted(&snapshot, request)?;
    let verdict = core.verification.verify(&snapshot, &api_key, &wanted).await;
    if let Ok(Accepted::Imported(key)) = &verdict
        && let Some(replacement) = core.verification.replacement(Arc::clone(&snapshot), Arc::clone(key)).await
    {
        let answer = VerifyAnswer::for_caller(&verdict).ok_or_else(Problem::could_not_tell)?;
        let verification = Verification { answer, replacement: Some(replacement) };
        return serde_json::to_string(&verification).map(Written).map_err(|_| Problem::internal());
    }
    let mut json = String::with_capacity(384);
    if write_for_caller(&mut json, &verdict) { Ok(Written(json)) } else { Err(Problem::could_not_tell()) }
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
