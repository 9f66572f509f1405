//! What answers the requests that come to a listener.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt,
    future::{self, Either},
};
use tower::ServiceExt;

use super::Peer;
use crate::{server::problem::Problem, tls::ClientCertificate};

/// A request, and the other end of its connection.
pub(in crate::server) struct PeerRequest {
    pub(in crate::server) request: Request,
    pub(in crate::server) peer: Peer,
    pub(super) client: Option<Arc<ClientCertificate>>,
}

impl PeerRequest {
    /// A request from no address, without a certificate.
    pub(in crate::server) fn local(request: Request) -> Self {
        PeerRequest { request, peer: Peer(None), client: None }
    }
}

/// A future is copied several times before it is first polled, and an `async fn` holds its arguments twice. A service
/// that passes a request on is therefore a function that returns the next one's future.
pub(in crate::server) trait Service: Clone + Send + Sync + 'static {
    fn call(&self, request: PeerRequest) -> impl Future<Output = Response> + Send + use<Self>;
}

/// Answers a request that names one host at most: programs on the way may have read another one (RFC 9112, section
/// 3.2).
pub(super) fn answer<S: Service>(service: &S, request: PeerRequest) -> impl Future<Output = Response> + Send + use<S> {
    match request.request.headers().get_all(header::HOST).iter().nth(1) {
        Some(_) => {
            let refusal = Problem::bad_request("the request has more than one `Host`").into_response();
            Either::Left(future::ready(refusal))
        }
        None => Either::Right(service.call(request)),
    }
}

/// Handlers see peer and certificate as extensions of the request.
impl Service for Router {
    fn call(
        &self,
        PeerRequest { mut request, peer, client }: PeerRequest,
    ) -> impl Future<Output = Response> + Send + use<> {
        request.extensions_mut().insert(peer);
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        self.clone().oneshot(request).map(|answer| answer.unwrap_or_else(|never| match never {}))
    }
}
