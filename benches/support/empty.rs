//! Handlers that look at nothing, and answer nothing or as much as the service does.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue},
    routing::any,
};
use envoy_types::{
    ext_authz::v3::pb::{
        Authorization, AuthorizationServer, CheckRequest, CheckResponse, HeaderAppendAction, HeaderValueOption,
        HttpResponse, OkHttpResponse,
    },
    pb::{envoy::config::core::v3::HeaderValue as Value, google::rpc},
};
use tonic::{Request, Response, Status};

/// What an answer of the service has in it, for a key with one scope and an expiry.
const ANSWER: [(&str, &str); 6] = [
    ("x-bulla-app-id", "3f2b8c1e-9a7d-4d52-8a55-0123456789ab"),
    ("x-bulla-api-key-id", "live_000008TjPJsKU3Hu4SJ9qc"),
    ("x-bulla-realm", "live"),
    ("x-bulla-scopes", "orders.read"),
    ("x-bulla-expires-at", "2027-02-20T08:47:38Z"),
    ("x-bulla-assertion", ""),
];

struct Says(fn() -> CheckResponse);

#[tonic::async_trait]
impl Authorization for Says {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new((self.0)()))
    }
}

/// Handlers that answer nothing.
pub(crate) fn nothing() -> Router {
    routes(any(|| async {}), CheckResponse::default)
}

/// Handlers that answer what the service would, to whatever they are asked.
pub(crate) fn the_same_answer() -> Router {
    routes(any(identity), allowed)
}

fn routes(http: axum::routing::MethodRouter, says: fn() -> CheckResponse) -> Router {
    Router::new()
        .route("/v1/authorize", http)
        .route_service("/envoy.service.auth.v3.Authorization/Check", AuthorizationServer::new(Says(says)))
}

async fn identity() -> HeaderMap {
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    ANSWER.into_iter().map(header).collect()
}

fn allowed() -> CheckResponse {
    let set = |(name, value): (&str, &str)| HeaderValueOption {
        header: Some(Value { key: name.to_owned(), value: value.to_owned(), ..Value::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: true,
        ..HeaderValueOption::default()
    };
    let allowed = OkHttpResponse {
        headers: ANSWER.into_iter().map(set).collect(),
        headers_to_remove: vec!["x-api-key".to_owned()],
        ..OkHttpResponse::default()
    };
    CheckResponse {
        status: Some(rpc::Status::default()),
        http_response: Some(HttpResponse::OkResponse(allowed)),
        ..CheckResponse::default()
    }
}
