//! `ANY /v1/authorize`: what is required stands in the path, and every answer in status and headers.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use super::{Denied, judge, requirements};
use crate::server::{App, client_address};

pub(in crate::server::data) async fn authorize(State(app): State<Arc<App>>, request: Request) -> Response {
    let required = match requirements(&app, Ok(route(request.uri().path()))) {
        Ok(required) => required,
        Err(denied) => return denied.into_response(),
    };
    let peer = request.extensions().get().copied();
    let address = client_address::behind_gateway(&app.snapshot().config.data, peer, request.headers());
    match judge(&app, required, request.headers(), address).await {
        Ok(identity) => {
            let mut response = Response::default();
            response.headers_mut().extend(identity.into_headers());
            response
        }
        Err(denied) => denied.into_response(),
    }
}

/// The segment behind `/v1/authorize/`, which the route wrote. What stands behind that, and the query, are the client's and
/// not looked at.
fn route(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/authorize/").and_then(|rest| rest.split('/').next())
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Denied::Refused(refusal) => refusal.into_response(),
            Denied::Failed(problem) => problem.into_response(),
        }
    }
}
