//! gRPC beside `Check`: health, reflection, and the status for methods that are not there. An error is a status of
//! gRPC's: one of HTTP's would be an unknown error to its clients.

mod health;
mod message;
mod reflection;

use axum::{
    body::Body,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tonic::{Code, Status};

use crate::server::{
    core::Core,
    extract::body::{self, Bounds},
    listener::PeerRequest,
    problem::Problem,
};

/// Returns whether a request is one of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// Answers any method but `Check`.
pub(super) async fn answer(core: Core, asked: PeerRequest) -> Response {
    let request = asked.request;
    if request.method() != Method::POST {
        return ([(header::ALLOW, "POST")], Problem::method()).into_response();
    }
    match request.uri().path() {
        // A conversation: the client sends when it has heard.
        reflection::V1 | reflection::V1ALPHA => reflection::answer(request).await.map(Body::new),
        path => {
            let method = health::Method::of(path);
            match (body::read_ahead(request, Bounds::single(&core.config.server)).await, method) {
                (Ok(request), Some(method)) => health::answer(core, method, request).await.map(Body::new),
                (Ok(_), None) => status(&Status::unimplemented("there is no such method here")),
                (Err(problem), _) => refuse(&problem),
            }
        }
    }
}

/// A problem as a status of gRPC.
pub(super) fn refuse(problem: &Problem) -> Response {
    let code = match problem.status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        _ => Code::Internal,
    };
    status(&Status::new(code, problem.detail.clone()))
}

fn status(status: &Status) -> Response {
    status.clone().into_http::<Body>()
}
