//! `POST /v1/verify`.

use std::net::IpAddr;

use axum::{Json, extract::State};

use super::realms::accepted_realms;
use crate::{
    api::{
        responses::{BodyProblems, CouldNotTellOrBusy},
        verdict::VerifyAnswer,
        verify::{Verification, VerifyRequest},
    },
    server::{core::Core, door::Door, extract::JsonBody, problem::Problem},
    verification::{Accepted, Wanted},
};

const TOO_MANY_SCOPES: &str = "`scopes` may name 256 scopes: name each once";

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
) -> Result<Json<Verification>, Problem> {
    let request = body.parse()?;
    let snapshot = door.enter();
    let address = request.ip.map(|ip| ip.parse::<IpAddr>()).transpose();
    let wanted = Wanted {
        realms: accepted_realms(&snapshot, &request.realms)?,
        scopes: request.scopes.all().ok_or_else(|| Problem::bad_request(TOO_MANY_SCOPES))?,
        audience: request.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` is no IPv4 or IPv6 address"))?,
    };
    let verdict = core.verification.verify(&snapshot, &request.api_key, &wanted).await;
    let answer = VerifyAnswer::for_caller(&verdict).ok_or_else(Problem::could_not_tell)?;
    let replacement = match verdict {
        Ok(Accepted::Imported(key)) => core.verification.replacement(snapshot, key).await,
        _ => None,
    };
    Ok(Json(Verification { answer, replacement }))
}
