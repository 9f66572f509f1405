//! `grpc.health.v1.Health`: `Check`, as Envoy's `grpc_health_check` and Kubernetes's probes ask it, `List`, which tells
//! the same of each service, and `Watch`, as clients of gRPC do that choose among several servers: a message at once,
//! and one for each change.

use std::collections::BTreeMap;

use axum::http::{Request, Response};
use futures_util::{
    Stream, StreamExt,
    future::{self, Ready},
    stream::{self, BoxStream},
};
use tokio::sync::watch;
use tonic::{
    Status,
    server::{Grpc, ServerStreamingService, UnaryService},
};

use super::message::Messages;
use crate::server::core::{Core, Door};

/// The services that it knows: all of them, and the one for gateways.
pub(super) const SERVICES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

/// The most watchers at a time; and no more than a part of all connections, as such a one is never
/// closed for others.
const MAX_WATCHES: usize = 1_000;
const CONNECTIONS_PER_WATCH: usize = 4;

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;

/// The methods.
#[derive(Clone, Copy)]
pub(super) enum Method {
    Check,
    List,
    Watch,
}

impl Method {
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/grpc.health.v1.Health/Check" => Some(Method::Check),
            "/grpc.health.v1.Health/List" => Some(Method::List),
            "/grpc.health.v1.Health/Watch" => Some(Method::Watch),
            _ => None,
        }
    }
}

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

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct HealthListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

struct Health(Core);

impl Health {
    fn now(&self) -> HealthCheckResponse {
        response(status_of(Door::of(&self.0).enter().is_ready()))
    }
}

impl UnaryService<HealthCheckRequest> for Health {
    type Response = HealthCheckResponse;
    type Future = Ready<Result<tonic::Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<HealthCheckRequest>) -> Self::Future {
        future::ready(match is_known(&request) {
            false => Err(Status::not_found("there is no such service here")),
            true => Ok(tonic::Response::new(self.now())),
        })
    }
}

impl UnaryService<HealthListRequest> for Health {
    type Response = HealthListResponse;
    type Future = Ready<Result<tonic::Response<HealthListResponse>, Status>>;

    fn call(&mut self, _: tonic::Request<HealthListRequest>) -> Self::Future {
        let now = self.now();
        let statuses = SERVICES.map(|service| (service.to_owned(), now)).into();
        future::ready(Ok(tonic::Response::new(HealthListResponse { statuses })))
    }
}

impl ServerStreamingService<HealthCheckRequest> for Health {
    type Response = HealthCheckResponse;
    type ResponseStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<HealthCheckRequest>) -> Self::Future {
        let most = (self.0.config.server.max_connections / CONNECTIONS_PER_WATCH).clamp(1, MAX_WATCHES);
        future::ready(match self.0.watch_readiness(most) {
            None => Err(Status::resource_exhausted(format!(
                "{most} calls of Watch are open already, and there may be no more: ask with Check"
            ))),
            Some(ready) => {
                let watched = Watched { ready, stopping: self.0.stopping.subscribe(), told: None, ended: false };
                let known = is_known(&request);
                Ok(tonic::Response::new(watched.responses(known).map(Ok).boxed()))
            }
        })
    }
}

/// What a call of `Watch` hears of.
struct Watched {
    ready: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
    told: Option<i32>,
    ended: bool,
}

impl Watched {
    /// A message at once, and one for each change, until the service stops. Of a service that is not there the protocol
    /// has one say that, and go on.
    fn responses(self, known: bool) -> impl Stream<Item = HealthCheckResponse> {
        stream::unfold(self, move |mut watched| async move {
            let status = watched.next(known).await?;
            watched.told = Some(status);
            Some((response(status), watched))
        })
    }

    async fn next(&mut self, known: bool) -> Option<i32> {
        while !self.ended {
            let ready = *self.ready.borrow_and_update();
            self.ended = *self.stopping.borrow();
            let status = if known { status_of(ready && !self.ended) } else { SERVICE_UNKNOWN };
            if self.told != Some(status) {
                return Some(status);
            }
            if self.ended {
                break;
            }
            tokio::select! {
                changed = self.ready.changed() => changed.ok()?,
                changed = self.stopping.changed() => changed.ok()?,
            }
        }
        None
    }
}

fn is_known(request: &tonic::Request<HealthCheckRequest>) -> bool {
    SERVICES.contains(&request.get_ref().service.as_str())
}

/// As `/readyz` says it.
fn status_of(ready: bool) -> i32 {
    if ready { SERVING } else { NOT_SERVING }
}

fn response(status: i32) -> HealthCheckResponse {
    HealthCheckResponse { status }
}

pub(super) async fn answer(
    core: Core,
    method: Method,
    request: Request<axum::body::Body>,
) -> Response<tonic::body::Body> {
    match method {
        Method::Check => Grpc::new(Messages::<_, HealthCheckRequest>::default()).unary(Health(core), request).await,
        Method::List => Grpc::new(Messages::<_, HealthListRequest>::default()).unary(Health(core), request).await,
        Method::Watch => Grpc::new(Messages::default()).server_streaming(Health(core), request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_change_is_told_once_and_the_last_is_that_the_service_stops() {
        let (ready, stopping) = (watch::Sender::new(true), watch::Sender::new(false));
        let watched = |known| {
            let watched =
                Watched { ready: ready.subscribe(), stopping: stopping.subscribe(), told: None, ended: false };
            watched.responses(known).map(|response| response.status).boxed()
        };
        let (mut known, mut unknown) = (watched(true), watched(false));
        assert_eq!((known.next().await, unknown.next().await), (Some(SERVING), Some(SERVICE_UNKNOWN)));
        ready.send_replace(true);
        ready.send_replace(false);
        assert_eq!(known.next().await, Some(NOT_SERVING));
        ready.send_replace(true);
        assert_eq!(known.next().await, Some(SERVING));
        let (known_next, unknown_next, _) =
            tokio::join!(known.next(), unknown.next(), async { stopping.send_replace(true) });
        assert_eq!((known_next, unknown_next), (Some(NOT_SERVING), None));
        assert_eq!(known.next().await, None);
        assert_eq!(watched(true).collect::<Vec<_>>().await, [NOT_SERVING], "one that comes late");
    }
}
