//! What the benchmark of forward authentication holds it against, on the service's own listener: handlers that do nothing, and
//! handlers that do nothing but answer as much as the service does.

use std::io;

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
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};
use tonic::{Request, Response, Status};

use crate::{config::ServerConfig, hardening, server};

/// What an answer of the service has in it, for a key with one scope and an expiry.
const ANSWER: [(&str, &str); 6] = [
    ("x-bulla-app-id", "3f2b8c1e-9a7d-4d52-8a55-0123456789ab"),
    ("x-bulla-api-key-id", "live_000008TjPJsKU3Hu4SJ9qc"),
    ("x-bulla-realm", "live"),
    ("x-bulla-scopes", "orders.read"),
    ("x-bulla-expires-at", "2027-02-20T08:47:38Z"),
    ("x-bulla-assertion", ""),
];

/// A listener that answers `ANY /v1/authorize` and `Check` without a look at what is asked: with nothing, or with
/// what the service would say.
pub struct Empty {
    /// Where it listens, `HOST:PORT`.
    pub address: String,
    _stop: watch::Sender<bool>,
    _runtime: Runtime,
}

struct Nothing {
    says: fn() -> CheckResponse,
}

#[tonic::async_trait]
impl Authorization for Nothing {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new((self.says)()))
    }
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

async fn identity() -> HeaderMap {
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    ANSWER.into_iter().map(header).collect()
}

impl Empty {
    /// Starts it on threads like those of `bulla serve`.
    pub fn start(says_as_much: bool) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().on_thread_park(hardening::forget_registers).build()?;
        let (http, says) = if says_as_much {
            (any(identity), allowed as fn() -> _)
        } else {
            (any(|| async {}), CheckResponse::default as _)
        };
        let router = Router::new()
            .route("/v1/authorize", http)
            .route_service("/envoy.service.auth.v3.Authorization/Check", AuthorizationServer::new(Nothing { says }));
        let (stop, stopped) = watch::channel(false);
        let (address, serving) = runtime.block_on(server::serve_alone(router, &ServerConfig::default(), stopped))?;
        runtime.spawn(serving);
        Ok(Empty { address: address.to_string(), _stop: stop, _runtime: runtime })
    }
}
