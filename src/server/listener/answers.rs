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

/// A request, and who asks.
pub(in crate::server) struct Asked {
    pub(in crate::server) request: Request,
    pub(in crate::server) peer: Peer,
    pub(super) client: Option<Arc<ClientCertificate>>,
}

impl Asked {
    /// A request that comes from no address, and shows no certificate.
    pub(in crate::server) fn of_nobody(request: Request) -> Self {
        Asked { request, peer: Peer(None), client: None }
    }
}

/// One copy answers one request.
pub(in crate::server) trait Answers: Clone + Send + Sync + 'static {
    fn answer(self, asked: Asked) -> impl Future<Output = Response> + Send;
}

/// Answers a request that names one host at most: programs on the way may have read another one (RFC 9112, section 3.2).
pub(super) async fn answer(answers: impl Answers, asked: Asked) -> Response {
    if asked.request.headers().get_all(header::HOST).iter().count() > 1 {
        return Problem::bad_request("the request has more than one `Host`").into_response();
    }
    answers.answer(asked).await
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
