//! `POST /v1/verify/batch`: up to 1,000 keys, each answered as `verify` would.

use std::borrow::Cow;

use axum::extract::State;
use futures_util::future::join_all;
use serde::Deserialize;

use super::{Written, realms::accepted_realms};
use crate::{
    api::{
        bounded_list::BoundedList,
        responses::{BodyProblems, Busy},
        verdict::write_in_batch,
        verify::{MAX_KEYS, NamedRealms, Verifications, VerifyBatchRequest},
    },
    server::{
        core::{Core, Door},
        extract::{Batch, JsonBody},
        problem::Problem,
    },
    verification::{Verdict, Wanted},
};

/// The number of keys after which other requests on this thread have their turn.
const AT_ONCE: usize = 128;

/// The bytes of an answer about a usual key, and more than that.
const ANSWER: usize = 320;

/// A [`VerifyBatchRequest`] whose keys are borrowed from the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRequest<'b> {
    #[serde(borrow)]
    api_keys: BoundedList<MAX_KEYS, Key<'b>>,
    #[serde(default)]
    realms: NamedRealms,
}

#[derive(Deserialize)]
struct Key<'b>(#[serde(borrow)] Cow<'b, str>);

/// Verifies many API keys.
///
/// Each is answered as alone, in the order of the request; one that could not be verified has the error
/// `could_not_tell`.
#[utoipa::path(
    post, path = "/v1/verify/batch", request_body = VerifyBatchRequest,
    responses((status = 200, description = "One answer for each key.", body = Verifications), BodyProblems, Busy)
)]
pub(super) async fn verify_batch(
    State(core): State<Core>,
    door: Door,
    body: JsonBody<VerifyBatchRequest, Batch>,
) -> Result<Written, Problem> {
    let request: BatchRequest<'_> = body.parse_as()?;
    let snapshot = door.enter();
    let wanted = Wanted { realms: accepted_realms(&snapshot, &request.realms, "realms")?, ..Wanted::default() };
    let (mut keys, mut separator) = (request.api_keys.entries(), "");
    let mut json = String::with_capacity(16 + keys.len() * ANSWER);
    json.push_str(r#"{"results":["#);
    let mut write = |verdict: &Verdict| {
        json.push_str(std::mem::replace(&mut separator, ","));
        write_in_batch(&mut json, verdict);
    };
    while !keys.is_empty() {
        let some = &keys[..keys.len().min(AT_ONCE)];
        let texts = some.iter().map(|Key(key)| &**key);
        let done = core.verification.verify_at_once(&snapshot, texts, &wanted, &mut write);
        keys = &keys[done..];
        if done < some.len() {
            break;
        }
        if !keys.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    // From the first one on that needs its hash all are asked for at the same time.
    let verdicts = join_all(keys.iter().map(|Key(key)| core.verification.verify(&snapshot, key, &wanted))).await;
    verdicts.iter().for_each(write);
    json.push_str("]}");
    Ok(Written(json))
}
