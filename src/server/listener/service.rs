//! What answers the requests that come to a listener.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt,
    future::{self, BoxFuture, Either},
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

/// The answer to a request. A future is copied several times before it is first polled, so one that waits is boxed, and
/// an answer that waits for nothing is no future.
pub(in crate::server) enum Answer {
    Now(Response),
    Later(BoxFuture<'static, Response>),
}

impl Answer {
    /// An answer that has to wait.
    pub(in crate::server) fn later(answer: impl Future<Output = Response> + Send + 'static) -> Self {
        Answer::Later(answer.boxed())
    }

    /// The same answer with an empty body.
    pub(in crate::server) fn without_body(self) -> Self {
        let empty = |response: Response| response.map(|_| Body::empty());
        match self {
            Answer::Now(response) => Answer::Now(empty(response)),
            Answer::Later(answer) => Answer::later(answer.map(empty)),
        }
    }

    /// The response, with `end` done to it.
    pub(super) fn ended_by<T>(self, end: impl FnOnce(Response) -> T + Send) -> impl Future<Output = T> + Send
    where
        T: Send,
    {
        match self {
            Answer::Now(response) => Either::Left(future::ready(end(response))),
            Answer::Later(answer) => Either::Right(answer.map(end)),
        }
    }

    /// The response.
    pub(in crate::server) async fn response(self) -> Response {
        match self {
            Answer::Now(response) => response,
            Answer::Later(answer) => answer.await,
        }
    }
}

pub(in crate::server) trait Service: Clone + Send + Sync + 'static {
    fn call(&self, request: PeerRequest) -> Answer;
}

/// Answers a request that names one host at most: programs on the way may have read another one (RFC 9112, section
/// 3.2).
pub(super) fn answer(service: &impl Service, request: PeerRequest) -> Answer {
    let headers = request.request.headers();
    // Most requests have no name twice, which two numbers tell.
    if headers.len() > headers.keys_len() && headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Answer::Now(Problem::bad_request("the request has more than one `Host`").into_response());
    }
    service.call(request)
}

/// Handlers see peer and certificate as extensions of the request.
impl Service for Router {
    fn call(&self, PeerRequest { mut request, peer, client }: PeerRequest) -> Answer {
        request.extensions_mut().insert(peer);
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        Answer::later(self.clone().oneshot(request).map(|answer| answer.unwrap_or_else(|never| match never {})))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};

    use super::*;

    #[derive(Clone)]
    struct Plain;

    impl Service for Plain {
        fn call(&self, _: PeerRequest) -> Answer {
            Answer::Now(Response::new(Body::from("text")))
        }
    }

    #[tokio::test]
    async fn only_a_second_host_is_refused_among_names_that_stand_twice() {
        for (names, status) in [
            (&["host"][..], StatusCode::OK),
            (&["host", "accept", "accept"], StatusCode::OK),
            (&["accept", "accept"], StatusCode::OK),
            (&[], StatusCode::OK),
            (&["host", "host"], StatusCode::BAD_REQUEST),
            (&["host", "accept", "accept", "host"], StatusCode::BAD_REQUEST),
        ] {
            let mut request = Request::default();
            for name in names {
                request.headers_mut().append(*name, HeaderValue::from_static("a"));
            }
            let answer = answer(&Plain, PeerRequest::local(request));
            assert_eq!(answer.response().await.status(), status, "{names:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_the_same_whether_it_waits_or_not() {
        for answer in [|| Answer::Now(response()), || Answer::later(async { response() })] {
            let whole = axum::body::to_bytes(answer().response().await.into_body(), 9).await;
            assert_eq!(whole.expect("a body"), "text");
            let none = axum::body::to_bytes(answer().without_body().response().await.into_body(), 9).await;
            assert!(none.expect("a body").is_empty());
            assert_eq!(answer().ended_by(|response| response.status()).await, response().status());
        }
    }

    fn response() -> Response {
        Response::new(Body::from("text"))
    }
}
