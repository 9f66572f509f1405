//! `POST /v1/verify/batch`: up to 1,000 keys, each answered as `verify` would.

use axum::{Json, extract::State};
use futures_util::future::join_all;

use super::realms::accepted_realms;
use crate::{
    api::{
        responses::{BodyProblems, Busy},
        verdict::VerifyAnswer,
        verify::{MAX_KEYS, Verifications, VerifyBatchRequest},
    },
    server::{
        core::Core,
        door::Door,
        extract::{Batch, JsonBody},
        problem::Problem,
    },
    verification::Wanted,
};

/// Verifies many API keys.
///
/// Each is answered as alone, in the order of the request; one that could not be verified has the error `could_not_tell`.
#[utoipa::path(
    post, path = "/v1/verify/batch", request_body = VerifyBatchRequest,
    responses((status = 200, description = "One answer for each key.", body = Verifications), BodyProblems, Busy)
)]
pub(super) async fn verify_batch(
    State(core): State<Core>,
    door: Door,
    body: JsonBody<VerifyBatchRequest, Batch>,
) -> Result<Json<Verifications>, Problem> {
    let request = body.parse()?;
    let count = request.api_keys.count();
    if count > MAX_KEYS {
        return Err(Problem::bad_request(format!("`api_keys` holds {count} keys and may hold {MAX_KEYS}")));
    }
    let snapshot = door.enter();
    let wanted = Wanted { realms: accepted_realms(&snapshot, &request.realms)?, ..Wanted::default() };
    let verdicts =
        join_all(request.api_keys.kept().iter().map(|key| core.verification.verify(&snapshot, key, &wanted))).await;
    let answer = |verdict| VerifyAnswer::for_caller(verdict).unwrap_or(VerifyAnswer::COULD_NOT_TELL);
    Ok(Json(Verifications { results: verdicts.iter().map(answer).collect() }))
}
