//! What answers the requests that come to a listener.

use std::sync::Arc;

use axum::{Router, extract::Request, response::Response};
use tower::ServiceExt;

use super::Peer;
use crate::tls::ClientCertificate;

/// A request, and who asks.
pub(in crate::server) struct Asked {
    pub(in crate::server) request: Request,
    pub(in crate::server) peer: Peer,
    pub(super) client: Option<Arc<ClientCertificate>>,
}

/// One copy answers one request.
pub(in crate::server) trait Answers: Clone + Send + Sync + 'static {
    fn answer(self, asked: Asked) -> impl Future<Output = Response> + Send;
}

/// Handlers see who asks as extensions of the request.
impl Answers for Router {
    async fn answer(self, Asked { mut request, peer, client }: Asked) -> Response {
        request.extensions_mut().insert(peer);
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        self.oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}
