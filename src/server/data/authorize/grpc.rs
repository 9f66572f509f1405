//! gRPC `envoy.service.auth.v3.Authorization/Check`: the requirements are in the route's context extensions. The answer holds the
//! response for the client, or changes of the request's headers.

use std::{net::IpAddr, str};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use bulla::layer::CredentialRules;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use tonic::{
    Code,
    server::{Grpc, UnaryService},
};

use super::{
    codec::CheckCodec,
    messages::{
        AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, Entry, HeaderValueOption, HttpRequest,
        HttpStatus, OkHttpResponse, Status,
    },
    required::take_rules,
    requirements, verify,
};
use crate::server::{
    client_address,
    core::Core,
    data::grpc,
    extract::body::{self, Bounds},
    listener::{Peer, PeerRequest},
    problem::Problem,
    rejection::{self, Denied},
};
use crate::telemetry::excerpt::{self, excerpt};

/// The path of the method.
pub(in crate::server::data) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The context extension with the requirements of a route. No other name may begin with it, in any case: with a typing error
/// the route would require nothing.
const REQUIRED: &str = "bulla";

/// Answers a gateway: may this request pass?
pub(in crate::server::data) async fn ext_authz(core: Core, asked: PeerRequest) -> Response {
    if asked.request.method() != Method::POST {
        return ([(header::ALLOW, "POST")], Problem::method()).into_response();
    }
    // Before it is decoded, which bounds its size and its time.
    let request = match body::read_ahead(asked.request, Bounds::check(&core.config.server)).await {
        Ok(request) => request,
        Err(problem) => return grpc::refuse(&problem),
    };
    let check = CheckService { core, peer: asked.peer };
    Grpc::new(CheckCodec).unary(check, request).await.map(Body::new)
}

struct CheckService {
    core: Core,
    peer: Peer,
}

impl UnaryService<CheckRequest> for CheckService {
    type Response = CheckResponse;
    type Future = BoxFuture<'static, Result<tonic::Response<CheckResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let (core, peer) = (self.core.clone(), self.peer);
        let attributes = request.into_inner().attributes.unwrap_or_default();
        Box::pin(async move {
            let answer = match check(&core, peer, attributes).await {
                Ok((allowed, dynamic_metadata)) => CheckResponse {
                    status: status(Code::Ok),
                    ok_response: Some(allowed),
                    denied_response: None,
                    dynamic_metadata,
                },
                Err(denied) => deny(denied).await,
            };
            Ok(tonic::Response::new(answer))
        })
    }
}

async fn check(core: &Core, peer: Peer, attributes: AttributeContext) -> Result<(OkHttpResponse, Bytes), Denied> {
    let snapshot = core.snapshot();
    let mut required = requirements(&snapshot, route(&attributes))?;
    let is_gateway = client_address::is_gateway(&snapshot.config.data, peer);
    let address = if is_gateway { source(&attributes) } else { None };
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let rules = take_rules(&mut required, &snapshot.config, &snapshot.default_realms);
    let headers = credentials(http, &rules);
    let (accepted, identity) = verify(&core.verification, &snapshot, required, &rules, &headers, address).await?;
    let metadata = identity.metadata(&accepted);
    let set = |(name, value): (&'static HeaderName, _)| HeaderValueOption::set(name.as_str().into(), value);
    let allowed = OkHttpResponse {
        headers: identity.into_values().map(set).collect(),
        // The application does not need the key.
        headers_to_remove: headers.keys().map(bytes_of).collect(),
    };
    Ok((allowed, metadata))
}

/// The text of a route.
fn route(attributes: &AttributeContext) -> Result<Option<&str>, String> {
    let mut found = None;
    for Entry { key, value } in &attributes.context_extensions {
        let name = key.trim_ascii();
        let alike = name.get(..REQUIRED.len()).is_some_and(|start| start.eq_ignore_ascii_case(REQUIRED.as_bytes()));
        if key != REQUIRED && alike {
            let name = excerpt(key, excerpt::SHORT);
            return Err(format!("the route has a context extension `{name}`: all of it belongs into `{REQUIRED}`"));
        }
        if key == REQUIRED && found.replace(value).is_some() {
            return Err(format!("the route has the context extension `{REQUIRED}` twice"));
        }
    }
    let text = found.map(|value| str::from_utf8(value));
    text.transpose().map_err(|_| format!("the context extension `{REQUIRED}` is not UTF-8"))
}

/// The client's address as Envoy sees it.
fn source(attributes: &AttributeContext) -> Option<IpAddr> {
    attributes.source.as_ref()?.address.as_ref()?.socket_address.as_ref()?.address.parse().ok()
}

/// The headers that a credential may be in. Envoy has them in a map, or as they came with `encode_raw_headers`.
fn credentials(http: HttpRequest, rules: &CredentialRules) -> HeaderMap {
    let mut found = HeaderMap::new();
    let mut keep = |key: &[u8], value: Bytes| {
        if let Some(name) = rules.headers().find(|name| key.eq_ignore_ascii_case(name.as_str().as_bytes())) {
            // A value that cannot be read is not a key, but it counts as a credential.
            found.append(name, HeaderValue::from_maybe_shared(value).unwrap_or(HeaderValue::from_static("?")));
        }
    };
    for Entry { key, value } in http.headers {
        keep(&key, value);
    }
    for header in http.header_map.map(|map| map.headers).unwrap_or_default() {
        keep(&header.key, if header.raw_value.is_empty() { header.value } else { header.raw_value });
    }
    found
}

/// The answer of HTTP, for Envoy to send. If it were an error of gRPC, Envoy might let the request through.
async fn deny(denied: Denied) -> CheckResponse {
    let (head, body) = denied.into_response().into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let code = rejection::grpc_code(head.status);
    let set = |(name, value): (_, &HeaderValue)| {
        HeaderValueOption::set(bytes_of(name), Bytes::copy_from_slice(value.as_bytes()))
    };
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: head.status.as_u16().into() }),
        headers: head.headers.iter().map(set).collect(),
        body,
    };
    let dynamic_metadata = Bytes::new();
    CheckResponse { status: status(code), ok_response: None, denied_response: Some(denied), dynamic_metadata }
}

fn status(code: Code) -> Option<Status> {
    Some(Status { code: code.into() })
}

fn bytes_of(name: &HeaderName) -> Bytes {
    Bytes::copy_from_slice(name.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(extensions: &[(&'static str, &'static [u8])]) -> Result<Option<String>, String> {
        let entry = |(key, value): &(&'static str, &'static [u8])| Entry {
            key: Bytes::from_static(key.as_bytes()),
            value: Bytes::from_static(value),
        };
        let context_extensions = extensions.iter().map(entry).collect();
        let attributes = AttributeContext { context_extensions, ..AttributeContext::default() };
        route(&attributes).map(|text| text.map(str::to_owned))
    }

    #[test]
    fn a_route_says_what_it_requires_in_one_context_extension() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("other", b"\xff"), ("bulla", b"realm:live")]), Ok(Some("realm:live".to_owned())));
        for (wrong, told) in [
            (&[("bulla", &b"-"[..]), ("bulla", b"-")][..], "twice"),
            (&[("bulla", b"-"), ("bulla.scope", b"a")], "`bulla.scope`"),
            (&[("bulla_realm", b"live")], "`bulla_realm`"),
            (&[("Bulla", b"realm:live")], "`Bulla`"),
            (&[(" bulla", b"realm:live")], "` bulla`"),
            (&[("bulla", b"\xff")], "not UTF-8"),
        ] {
            let error = read(wrong).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }
}
