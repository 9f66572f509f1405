//! `grpc.health.v1.Health/Check`, as Envoy's `grpc_health_check` and Kubernetes's probes ask it. `Watch` is not there, which the
//! protocol allows.

use axum::http::{Request, Response};
use futures_util::future::{self, Ready};
use tonic::{
    Status,
    server::{Grpc, UnaryService},
};

use super::message::Messages;
use crate::{server::core::Core, verification::Stale};

pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";

/// The services that it knows: all of them, and the one for gateways.
pub(super) const SERVICES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

struct Health(Core);

impl UnaryService<HealthCheckRequest> for Health {
    type Response = HealthCheckResponse;
    type Future = Ready<Result<tonic::Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<HealthCheckRequest>) -> Self::Future {
        let service = request.into_inner().service;
        future::ready(match SERVICES.contains(&service.as_str()) {
            false => Err(Status::not_found("there is no such service here")),
            // As /readyz says it.
            true => {
                let ready = *self.0.snapshot().stale() != Stale::Everything;
                Ok(tonic::Response::new(HealthCheckResponse { status: if ready { SERVING } else { NOT_SERVING } }))
            }
        })
    }
}

pub(super) async fn answer(core: Core, request: Request<axum::body::Body>) -> Response<tonic::body::Body> {
    Grpc::new(Messages::default()).unary(Health(core), request).await
}
