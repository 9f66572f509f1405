//! `POST /v1/verify/batch`: up to 1,000 keys, each answered as `verify` would.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::verify::accepted_realms;
use crate::{
    server::{
        App,
        body::{self, Bounds},
        problem::Problem,
    },
    view::verdict::{Answer, Wanted},
};

const MAX_KEYS: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    api_keys: Vec<String>,
    #[serde(default)]
    realms: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Results {
    results: Vec<Answer>,
}

pub(super) async fn verify_batch(State(app): State<Arc<App>>, request: Request) -> Result<Json<Results>, Problem> {
    let body: Body = body::json(request, Bounds::batch(&app.config.server)).await?;
    if body.api_keys.len() > MAX_KEYS {
        return Err(Problem::bad_request(format!(
            "`api_keys` holds {} keys and may hold {MAX_KEYS}",
            body.api_keys.len()
        )));
    }
    let wanted = Wanted { realms: accepted_realms(&app, &body.realms)?, ..Wanted::default() };
    let verdicts = join_all(body.api_keys.iter().map(|key| app.judge(key, &wanted))).await;
    let answer = |verdict| Answer::for_caller(verdict).unwrap_or(Answer::COULD_NOT_TELL);
    Ok(Json(Results { results: verdicts.iter().map(answer).collect() }))
}
