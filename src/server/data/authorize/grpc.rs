//! gRPC `envoy.service.auth.v3.Authorization/Check`: what is required stands in the route's context extensions, and an
//! answer says what the client hears, or what becomes of its request's headers.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::IntoResponse,
    routing::{MethodRouter, post},
};
use bulla::layer::Credential;
use envoy_types::{
    ext_authz::v3::pb::{
        Address, Authorization, AuthorizationServer, CheckRequest, CheckResponse, DeniedHttpResponse,
        HeaderAppendAction, HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
    },
    pb::{
        envoy::{
            config::core::v3::HeaderValue as Value,
            service::auth::v3::{AttributeContext, attribute_context::HttpRequest},
        },
        google::rpc,
    },
};
use http_body_util::BodyExt;
use tonic::Code;
use tower::Service;

use super::{Denied, judge, requirements};
use crate::server::{
    App,
    body::{self, Bounds},
    client_address,
    listener::Peer,
    problem::Problem,
};

/// The context extension that says what a route requires. No other name may begin like it.
const REQUIRED: &str = "bulla";

/// The service, at its path.
pub(in crate::server::data) fn ext_authz(app: &Arc<App>) -> MethodRouter<Arc<App>> {
    let bounds = Bounds::batch(&app.config.server);
    let service = AuthorizationServer::new(ExtAuthz(Arc::clone(app)));
    post(async move |request: Request| {
        // Before it is decoded, which bounds its size and its time.
        let request = body::at_hand(request, bounds).await?;
        let answer = service.clone().call(request).await.unwrap_or_else(|never| match never {});
        Ok::<_, Problem>(answer.map(Body::new))
    })
}

struct ExtAuthz(Arc<App>);

#[tonic::async_trait]
impl Authorization for ExtAuthz {
    async fn check(
        &self,
        request: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        let peer = request.extensions().get().copied();
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let answer = match check(&self.0, peer, attributes).await {
            Ok(allowed) => answer(Code::Ok, HttpResponse::OkResponse(allowed)),
            Err(denied) => deny(denied).await,
        };
        Ok(tonic::Response::new(answer))
    }
}

async fn check(app: &Arc<App>, peer: Option<Peer>, attributes: AttributeContext) -> Result<OkHttpResponse, Denied> {
    let required = requirements(app, route(&attributes))?;
    let is_gateway = client_address::is_gateway(&app.snapshot().config.data, peer);
    let address = if is_gateway { source(&attributes) } else { None };
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let headers = credentials(http, required.from.as_ref());
    let identity = judge(app, required, &headers, address).await?;
    Ok(OkHttpResponse {
        headers: identity.texts().map(|(name, value)| set(name, value)).collect(),
        // The application has no need of the key.
        headers_to_remove: headers.keys().map(ToString::to_string).collect(),
        ..OkHttpResponse::default()
    })
}

/// The text of a route.
fn route(attributes: &AttributeContext) -> Result<Option<&str>, String> {
    let extensions = &attributes.context_extensions;
    match extensions.keys().find(|name| name.starts_with(REQUIRED) && *name != REQUIRED) {
        Some(name) => Err(format!("the route has a context extension `{name}`: all of it belongs into `{REQUIRED}`")),
        None => Ok(extensions.get(REQUIRED).map(String::as_str)),
    }
}

/// The client's address as Envoy sees it.
fn source(attributes: &AttributeContext) -> Option<IpAddr> {
    match attributes.source.as_ref()?.address.as_ref()?.address.as_ref()? {
        Address::SocketAddress(socket) => socket.address.parse().ok(),
        _ => None,
    }
}

/// The headers that a credential may be in. Envoy has them in a map, or as they came with `encode_raw_headers`.
fn credentials(http: HttpRequest, only: Option<&HeaderName>) -> HeaderMap {
    let mut found = HeaderMap::new();
    let mut keep = |name: &str, value: Result<HeaderValue, _>| {
        if let Some(name) = Credential::headers(only).find(|header| name.eq_ignore_ascii_case(header.as_str())) {
            // One that cannot be read is no key, but it is there.
            found.append(name, value.unwrap_or(HeaderValue::from_static("")));
        }
    };
    for (name, value) in http.headers {
        keep(&name, HeaderValue::try_from(value));
    }
    for Value { key, value, raw_value } in http.header_map.map(|map| map.headers).unwrap_or_default() {
        keep(&key, HeaderValue::try_from(if raw_value.is_empty() { value.into_bytes() } else { raw_value }));
    }
    found
}

/// A header that takes the place of the client's own.
fn set(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(Value { key: name.to_owned(), value: value.to_owned(), ..Value::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: true,
        ..HeaderValueOption::default()
    }
}

/// What HTTP would answer, for Envoy to answer. As an error of the service it might be let through.
async fn deny(denied: Denied) -> CheckResponse {
    let (head, body) = denied.into_response().into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let code = match head.status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    };
    let response = DeniedHttpResponse {
        status: Some(HttpStatus { code: head.status.as_u16().into() }),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| set(name.as_str(), value.to_str().unwrap_or_default()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    answer(code, HttpResponse::DeniedResponse(response))
}

fn answer(code: Code, response: HttpResponse) -> CheckResponse {
    let status = rpc::Status { code: code.into(), ..rpc::Status::default() };
    CheckResponse { status: Some(status), http_response: Some(response), ..CheckResponse::default() }
}
