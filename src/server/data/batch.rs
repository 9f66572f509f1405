//! `POST /v1/verify/batch`: up to 1,000 keys, each answered as `verify` would.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::realms::{NamedRealms, accepted_realms};
use crate::{
    schema,
    server::{
        App,
        body::{self, Bounds},
        bounded::Bounded,
        openapi::problems::{Busy, JsonBody},
        problem::Problem,
    },
    view::verdict::{Answer, Wanted},
};

const MAX_KEYS: usize = 1_000;

#[derive(Deserialize, ToSchema)]
#[schema(as = VerifyBatchRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[schema(max_items = 1000)]
    #[schema(value_type = Vec<String>)]
    api_keys: Bounded<MAX_KEYS>,
    /// The realms that count; the configured defaults, where none is named. At most 64, or as many as are configured.
    #[schema(value_type = Vec<schema::Realm>)]
    #[serde(default)]
    realms: NamedRealms,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Verifications)]
pub(super) struct Results {
    results: Vec<Answer>,
}

/// Verifies many API keys.
///
/// Each is answered as alone, in the order of the request; one that could not be judged has the error `could_not_tell`.
#[utoipa::path(
    post, path = "/v1/verify/batch", request_body = Body,
    responses((status = 200, description = "One answer for each key.", body = Results), JsonBody, Busy)
)]
pub(super) async fn verify_batch(State(app): State<Arc<App>>, request: Request) -> Result<Json<Results>, Problem> {
    let body: Body = body::json(request, Bounds::batch(&app.config.server)).await?;
    let count = body.api_keys.count();
    if count > MAX_KEYS {
        return Err(Problem::bad_request(format!("`api_keys` holds {count} keys and may hold {MAX_KEYS}")));
    }
    let snapshot = app.snapshot();
    let wanted = Wanted { realms: accepted_realms(&snapshot, &body.realms)?, ..Wanted::default() };
    let verdicts = join_all(body.api_keys.kept().iter().map(|key| app.judge(&snapshot, key, &wanted))).await;
    let answer = |verdict| Answer::for_caller(verdict).unwrap_or(Answer::COULD_NOT_TELL);
    Ok(Json(Results { results: verdicts.iter().map(answer).collect() }))
}
