//! `POST /v1/api-keys` and `/v1/api-keys/batch`: issue keys, shown this once.

use std::sync::Arc;

use arc_swap::Guard;
use axum::{
    Json,
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bulla::ApiKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Caller, Permission};
use crate::{
    action::{
        issue::{Issued, IssuedApiKey, Issuing, MAX_BATCH},
        new_api_key::NewApiKey,
    },
    clock, schema,
    scope::Scope,
    server::{
        App, blocking,
        body::{self, Bounds},
        openapi::problems::{Guarded, MediaType, PolicyOrReused},
        problem::Problem,
    },
    store::IdempotencyKey,
    telemetry::metrics::RealmLabel,
    text::TextError,
};

/// Longest idempotency key, in characters.
const LONGEST_IDEMPOTENCY_KEY: usize = 255;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewApiKeys)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    #[schema(min_items = 1, max_items = 1000)]
    api_keys: Vec<NewApiKey>,
}

/// The keys of a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuedApiKeys {
    api_keys: Vec<IssuedApiKey>,
}

/// What is told of a key that the same request was given before.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuedBefore {
    #[schema(value_type = schema::ApiKeyId)]
    api_key_id: String,
}

/// What is told of the keys that the same batch was given before.
#[derive(Serialize, ToSchema)]
pub(super) struct AllIssuedBefore {
    #[schema(value_type = Vec<schema::ApiKeyId>)]
    api_key_ids: Vec<String>,
}

/// Issues an API key.
///
/// Scope `issue`, or `issue:REALM`. The key is shown this once.
#[utoipa::path(
    post, path = "/v1/api-keys", operation_id = "issue", request_body = NewApiKey,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses(
        (status = 201, description = "It is issued and on record.", body = IssuedApiKey, headers(("Cache-Control" = String))),
        (status = 200, description = "This request was done before; nobody has the key any more.", body = IssuedBefore),
        Guarded, MediaType, PolicyOrReused,
    )
)]
pub(super) async fn issue(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let (new, bytes): (NewApiKey, _) = body::json_and_bytes(request, Bounds::single(&app.config.server)).await?;
    let once = idempotency_key(&headers, "/v1/api-keys", &bytes)?;
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
    post, path = "/v1/api-keys/batch", operation_id = "issue_batch", request_body = Batch,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses(
        (status = 201, description = "They are issued, in the order of the request.", body = IssuedApiKeys,
            headers(("Cache-Control" = String))),
        (status = 200, description = "This request was done before; nobody has the keys any more.", body = AllIssuedBefore),
        Guarded, MediaType, PolicyOrReused,
    )
)]
pub(super) async fn issue_batch(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let (batch, bytes): (Batch, _) = body::json_and_bytes(request, Bounds::batch(&app.config.server)).await?;
    if batch.api_keys.is_empty() || batch.api_keys.len() > MAX_BATCH {
        return Err(Problem::bad_request(format!("`api_keys` asks for 1 to {MAX_BATCH} keys")));
    }
    let once = idempotency_key(&headers, "/v1/api-keys/batch", &bytes)?;
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

/// What this caller issues goes by the snapshot of this moment.
pub(super) fn issuing<T>(app: &App, caller: &Caller, issue: impl FnOnce(&Issuing<'_>) -> T) -> T {
    let snapshot = Guard::into_inner(app.snapshot());
    issue(&Issuing {
        issuer: &snapshot.issuer,
        store: &*app.store,
        config: &snapshot.config,
        peppers: snapshot.peppers().map(Arc::as_ref),
        actor: &caller.actor(),
        now: clock::now(),
    })
}

/// Counts an issued key.
pub(super) fn count(app: &App, issued: &IssuedApiKey) {
    app.metrics.issued.get_or_create(&RealmLabel { realm: issued.realm.clone() }).inc();
    tracing::debug!(id = issued.api_key_id, app_id = %issued.app_id, "issued");
}

/// 201 with what is shown this once, and kept by nobody in between.
pub(super) fn created(shown: &impl Serialize) -> Response {
    let mut response = (StatusCode::CREATED, Json(shown)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The request's `Idempotency-Key`, with what tells this request from another.
fn idempotency_key(headers: &HeaderMap, endpoint: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = headers.get_all("idempotency-key").iter();
    let (key, another) = (given.next(), given.next());
    let Some(key) = key else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_IDEMPOTENCY_KEY).contains(&key.len()) && another.is_none());
    let key = key.ok_or_else(|| {
        Problem::bad_request(format!("give one Idempotency-Key of 1 to {LONGEST_IDEMPOTENCY_KEY} ASCII characters"))
    })?;
    if ApiKey::is_within(key) {
        return Err(Problem::bad_request(format!("Idempotency-Key: {}", TextError::HoldsKey)));
    }
    Ok(Some(IdempotencyKey::new(key, endpoint, body)))
}
