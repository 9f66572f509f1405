//! What answers the requests that come to a listener.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
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

/// One copy answers one request.
pub(in crate::server) trait Service: Clone + Send + Sync + 'static {
    fn call(self, request: PeerRequest) -> impl Future<Output = Response> + Send;
}

/// Answers a request that names one host at most: programs on the way may have read another one (RFC 9112, section 3.2).
pub(super) async fn answer(service: impl Service, request: PeerRequest) -> Response {
    if request.request.headers().get_all(header::HOST).iter().count() > 1 {
        return Problem::bad_request("the request has more than one `Host`").into_response();
    }
    service.call(request).await
}

/// Handlers see peer and certificate as extensions of the request.
impl Service for Router {
    async fn call(self, PeerRequest { mut request, peer, client }: PeerRequest) -> Response {
        request.extensions_mut().insert(peer);
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        self.oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}
