//! `POST /v1/api-keys` and `/v1/api-keys/batch`: issues API keys, which are shown this once.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::idempotency_header;
use crate::{
    action::{
        idempotency::IdempotencyKey,
        issue::{IssueContext, Issued, MAX_BATCH},
    },
    api::{
        issue::{AllIssuedBefore, IssuedApiKey, IssuedApiKeys, IssuedBefore, NewApiKey, NewApiKeys},
        responses::{Guarded, MediaType, PolicyOrReused},
        schema,
    },
    clock,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::{Batch, JsonBody, NoQuery},
        problem::Problem,
    },
    telemetry::metrics::RealmLabel,
};

/// Issues an API key.
///
/// Scope `issue`, or `issue:REALM`. The key is shown this once.
#[utoipa::path(
    post, path = "/v1/api-keys", operation_id = "issue", request_body = NewApiKey,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses(
        (status = 201, description = "It is issued and on record.", body = IssuedApiKey, headers(("Cache-Control" = String))),
        (status = 200, description = "This request was done before. The key is not shown again.", body = IssuedBefore),
        Guarded, MediaType, PolicyOrReused,
    )
)]
pub(super) async fn issue(
    State(app): State<Arc<App>>,
    caller: Caller,
    _none: NoQuery,
    body: JsonBody<NewApiKey>,
) -> Result<Response, Problem> {
    let new = body.parse()?;
    let once = idempotency_header::key(&body, "/v1/api-keys")?;
    Ok(match issue_all(app, caller, vec![new], once).await? {
        Issued::Now(mut keys) => {
            let key = keys.pop().ok_or_else(Problem::internal)?;
            created(&key)
        }
        Issued::Before(ids) => {
            let id = ids.first().ok_or_else(Problem::internal)?;
            Json(IssuedBefore { api_key_id: id.to_string() }).into_response()
        }
    })
}

/// Issues up to 1,000 API keys, or none.
///
/// Scope `issue`, or `issue:REALM` for every realm in it.
#[utoipa::path(
    post, path = "/v1/api-keys/batch", operation_id = "issue_batch", request_body = NewApiKeys,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses(
        (status = 201, description = "They are issued, in the order of the request.", body = IssuedApiKeys,
            headers(("Cache-Control" = String))),
        (status = 200, description = "This request was done before. The keys are not shown again.", body = AllIssuedBefore),
        Guarded, MediaType, PolicyOrReused,
    )
)]
pub(super) async fn issue_batch(
    State(app): State<Arc<App>>,
    caller: Caller,
    _none: NoQuery,
    body: JsonBody<NewApiKeys, Batch>,
) -> Result<Response, Problem> {
    let batch = body.parse()?;
    if batch.api_keys.is_empty() || batch.api_keys.len() > MAX_BATCH {
        return Err(Problem::bad_request(format!("`api_keys` asks for 1 to {MAX_BATCH} keys")));
    }
    let once = idempotency_header::key(&body, "/v1/api-keys/batch")?;
    Ok(match issue_all(app, caller, batch.api_keys, once).await? {
        Issued::Now(api_keys) => created(&IssuedApiKeys { api_keys }),
        Issued::Before(ids) => {
            let api_key_ids = ids.iter().map(ToString::to_string).collect();
            Json(AllIssuedBefore { api_key_ids }).into_response()
        }
    })
}

async fn issue_all(
    app: Arc<App>,
    caller: Caller,
    new: Vec<NewApiKey>,
    once: Option<IdempotencyKey>,
) -> Result<Issued, Problem> {
    for key in &new {
        let realm = key.realm.parse().map_err(|error| Problem::bad_request(format!("realm: {error}")))?;
        caller.needs(&app, Permission::in_realm(Scope::Issue, realm))?;
    }
    let worker = Arc::clone(&app);
    let issued = blocking::run(move || issuing(&worker, &caller, |issuing| issuing.all(new, once.as_ref())));
    let issued = issued.await??;
    if let Issued::Now(keys) = &issued {
        keys.iter().for_each(|key| count(&app, key));
    }
    Ok(issued)
}

/// Runs `issue` with what it needs: this caller, and the state that its request goes by.
pub(super) fn issuing<T>(app: &App, caller: &Caller, issue: impl FnOnce(&IssueContext<'_>) -> T) -> T {
    issue(&caller.snapshot().issue_context(&*app.store, &caller.actor(), clock::now()))
}

/// Counts an issued key.
pub(super) fn count(app: &App, issued: &IssuedApiKey) {
    app.metrics.issued.get_or_create(&RealmLabel { realm: issued.realm.clone() }).inc();
    tracing::debug!(id = issued.api_key_id, app_id = %issued.app_id, "issued");
}

/// 201 with an answer that is shown this once.
pub(super) fn created(shown: &impl Serialize) -> Response {
    shown_once(StatusCode::CREATED, shown)
}

/// An answer that is shown this once. No cache may keep it.
pub(super) fn shown_once(status: StatusCode, shown: &impl Serialize) -> Response {
    let mut response = (status, Json(shown)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
