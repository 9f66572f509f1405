//! What the benchmark of forward authentication holds it against: handlers that do nothing, on the service's own listener.

use std::io;

use axum::{Router, routing::any};
use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};
use tonic::{Request, Response, Status};

use crate::{config::ServerConfig, hardening, server};

/// A listener that answers `ANY /v1/authorize` and `Check` without a look at what is asked.
pub struct Empty {
    /// Where it listens, `HOST:PORT`.
    pub address: String,
    _stop: watch::Sender<bool>,
    _runtime: Runtime,
}

struct Nothing;

#[tonic::async_trait]
impl Authorization for Nothing {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::default()))
    }
}

impl Empty {
    /// Starts it on threads like those of `bulla serve`.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().on_thread_park(hardening::forget_registers).build()?;
        let router = Router::new()
            .route("/v1/authorize", any(|| async {}))
            .route_service("/envoy.service.auth.v3.Authorization/Check", AuthorizationServer::new(Nothing));
        let (stop, stopped) = watch::channel(false);
        let (address, serving) = runtime.block_on(server::serve_alone(router, &ServerConfig::default(), stopped))?;
        runtime.spawn(serving);
        Ok(Empty { address: address.to_string(), _stop: stop, _runtime: runtime })
    }
}
