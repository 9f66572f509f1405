//! gRPC `envoy.service.auth.v3.Authorization/Check`: the requirements are in the route's context extensions. The answer
//! holds the response for the client, or changes of the request's headers. One request, one message in one frame: what
//! a server of gRPC does beside that would take longer than the answer.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tonic::{Code, Status};

use super::{
    check_request::Question, check_response, conclude, credential_rules::take_rules, read, requirements,
    wire::WireError,
};
use crate::server::{
    client_address,
    core::Door,
    data::grpc,
    extract::body::{self, Bounds},
    listener::{Peer, PeerRequest},
    problem::Problem,
    rejection::{self, Denied},
};

/// The path of the method.
pub(in crate::server::data) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

static STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What stands behind a message.
static TRAILERS: LazyLock<HeaderMap> =
    LazyLock::new(|| HeaderMap::from_iter([(STATUS.clone(), HeaderValue::from_static("0"))]));

/// Answers a gateway: may this request pass?
pub(in crate::server::data) async fn ext_authz(door: Door, asked: PeerRequest) -> Response {
    if asked.request.method() != Method::POST {
        return ([(header::ALLOW, "POST")], Problem::method()).into_response();
    }
    // Before it is read, which bounds its size and its time.
    let bytes = match body::bytes(asked.request.into_body(), Bounds::check(&door.core().config.server)).await {
        Ok(bytes) => bytes,
        Err(problem) => return grpc::refuse(&problem),
    };
    match message(&bytes) {
        Ok(message) => match check(door, asked.peer, Question::of(message)).await {
            Ok(answer) => answered(answer),
            Err(error @ WireError::Broken) => failed(Code::Internal, &error.to_string()),
            Err(error @ WireError::TooMany(_)) => failed(Code::ResourceExhausted, &error.to_string()),
        },
        Err((code, told)) => failed(code, told),
    }
}

/// The message of the one frame.
fn message(body: &[u8]) -> Result<&[u8], (Code, &'static str)> {
    let Some((&[compressed, a, b, c, d], message)) = body.split_first_chunk() else {
        return Err((Code::Internal, "the request has no message"));
    };
    if compressed != 0 {
        return Err((Code::Unimplemented, "the message is compressed: send it as it is"));
    }
    match usize::try_from(u32::from_be_bytes([a, b, c, d])) {
        Ok(length) if length == message.len() => Ok(message),
        _ => Err((Code::Internal, "the request is not one message")),
    }
}

async fn check(door: Door, peer: Peer, question: Question<'_>) -> Result<Vec<u8>, WireError> {
    let (core, snapshot) = door.pass();
    let mut required = match requirements(&snapshot, question.route()?) {
        Ok(required) => required,
        Err(denied) => return Ok(deny(denied).await),
    };
    let source = question.source()?;
    let address = source.filter(|_| client_address::is_gateway(&snapshot.config.data, peer));
    let rules = take_rules(&mut required, &snapshot);
    let headers = question.credentials(&rules)?;
    let (presented, wanted) = match read(&core.verification, &snapshot, required, &rules, &headers, address) {
        Ok(read) => read,
        Err(denied) => return Ok(deny(denied).await),
    };
    let verdict = core.verification.verify(&snapshot, presented.expose(), &wanted).await;
    let allowed = conclude(&verdict, &snapshot, &wanted, &rules, |accepted, identity| {
        // The application does not need the key.
        check_response::allowed(identity.values(), headers.keys(), &identity.metadata(accepted))
    });
    Ok(match allowed {
        Ok(allowed) => allowed,
        Err(denied) => deny(denied).await,
    })
}

/// The answer of HTTP, for Envoy to send.
async fn deny(denied: Denied) -> Vec<u8> {
    let (head, body) = denied.into_response().into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    check_response::denied(rejection::grpc_code(head.status), head.status, &head.headers, &body)
}

fn answered(frame: Vec<u8>) -> Response {
    let mut response = Response::new(Body::new(Answer { frame: Bytes::from(frame), trailers: true }));
    response.headers_mut().insert(header::CONTENT_TYPE, media_type());
    response
}

/// An error of gRPC, which has no message.
fn failed(code: Code, told: &str) -> Response {
    Status::new(code, told).into_http::<Body>()
}

fn media_type() -> HeaderValue {
    HeaderValue::from_static("application/grpc")
}

/// A message, and the status behind it.
struct Answer {
    frame: Bytes,
    trailers: bool,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = std::mem::take(&mut self.frame);
        if !frame.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        let trailers = std::mem::take(&mut self.trailers);
        Poll::Ready(trailers.then(|| Ok(Frame::trailers(TRAILERS.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        !self.trailers
    }

    /// No exact one, which would become a header.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(self.frame.len() as u64);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_message() {
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8]), Ok(&[7, 8][..]));
        assert_eq!(message(&[0; 5]), Ok(&[][..]));
        for (body, code) in [
            (&[][..], Code::Internal),
            (&[0; 4], Code::Internal),
            (&[0, 0, 0, 0, 2, 7], Code::Internal),
            (&[0, 0, 0, 0, 1, 7, 8], Code::Internal),
            (&[0, 255, 255, 255, 255, 7, 8], Code::Internal),
            (&[1, 0, 0, 0, 0], Code::Unimplemented),
        ] {
            assert_eq!(message(body).map_err(|(code, _)| code), Err(code), "{body:?}");
        }
    }
}
