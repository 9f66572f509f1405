//! Envoy's side of ext_authz over gRPC.

use std::collections::HashMap;

use envoy_types::pb::envoy::{
    config::core::v3::{
        Address, HeaderMap, HeaderValue, HeaderValueOption, SocketAddress, address::Address as Kind,
        header_value_option::HeaderAppendAction, socket_address::PortSpecifier,
    },
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse,
        attribute_context::{HttpRequest, Peer, Request},
        authorization_client::AuthorizationClient,
        check_response::HttpResponse,
    },
};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tower::ServiceExt;
use ureq::http;

use super::http::Http;

pub struct Envoy {
    runtime: Runtime,
    channel: Channel,
}

/// What a client sent, and through which route.
#[derive(Clone, Default)]
pub struct Question {
    http: HttpRequest,
    extensions: HashMap<String, String>,
    source: Option<String>,
}

/// What becomes of it.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Allowed { set: HashMap<String, String>, removed: Vec<String> },
    Denied { status: i32, code: i32, headers: HashMap<String, String>, body: String },
}

impl Question {
    /// Headers as Envoy gives them as a rule: names in lower case, and what is repeated joined.
    pub fn headers(mut self, headers: &[(&str, &str)]) -> Self {
        for (name, value) in headers {
            let joined = self.http.headers.entry((*name).to_owned()).or_default();
            joined.push_str(if joined.is_empty() { "" } else { "," });
            joined.push_str(value);
        }
        self
    }

    /// Headers as they came, with `encode_raw_headers`.
    pub fn raw_headers(mut self, headers: &[(&str, &[u8])]) -> Self {
        let raw = |(name, value): &(&str, &[u8])| HeaderValue {
            key: (*name).to_owned(),
            raw_value: value.to_vec(),
            ..HeaderValue::default()
        };
        self.http.header_map = Some(HeaderMap { headers: headers.iter().map(raw).collect() });
        self
    }

    pub fn path(mut self, path: &str) -> Self {
        self.http.path = path.to_owned();
        self
    }

    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn route(self, required: &str) -> Self {
        self.extension("bulla", required)
    }

    pub fn seen_at(self, address: &str) -> Self {
        Question { source: Some(address.to_owned()), ..self }
    }

    pub fn into_request(self) -> CheckRequest {
        let address = |address| Address {
            address: Some(Kind::SocketAddress(SocketAddress {
                address,
                port_specifier: Some(PortSpecifier::PortValue(4711)),
                ..SocketAddress::default()
            })),
        };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer { address: self.source.map(address), ..Peer::default() }),
                request: Some(Request { http: Some(self.http), ..Request::default() }),
                context_extensions: self.extensions,
                ..AttributeContext::default()
            }),
        }
    }
}

impl Envoy {
    pub fn new(data: &Http) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = Channel::from_shared(format!("http://{}", data.address)).expect("an address");
        let channel = runtime.block_on(server.connect()).expect("a connection");
        Envoy { runtime, channel }
    }

    pub fn ask(&self, question: Question) -> Verdict {
        verdict(self.send(question.into_request()).expect("an answer"))
    }

    pub fn send(&self, request: CheckRequest) -> Result<CheckResponse, tonic::Status> {
        let mut client = AuthorizationClient::new(self.channel.clone());
        self.runtime.block_on(client.check(request)).map(tonic::Response::into_inner)
    }

    /// Asks as any client does that speaks HTTP/2: status, headers, and the length of the body.
    pub fn http2(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, http::HeaderMap, usize) {
        let request = http::Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |all, (name, value)| all.header(*name, *value));
        let request = request.body(tonic::body::Body::empty()).expect("a request");
        self.runtime.block_on(async {
            let answer = self.channel.clone().oneshot(request).await.expect("an answer");
            let (head, body) = answer.into_parts();
            (head.status.as_u16(), head.headers, body.collect().await.expect("all of the body").to_bytes().len())
        })
    }
}

impl Verdict {
    /// The status that the client sees, and its challenge.
    pub fn denied(&self) -> (i32, Option<&str>) {
        match self {
            Verdict::Allowed { .. } => (200, None),
            Verdict::Denied { status, headers, .. } => (*status, headers.get("www-authenticate").map(String::as_str)),
        }
    }

    pub fn set(&self, name: &str) -> &str {
        match self {
            Verdict::Allowed { set, .. } => &set[name],
            Verdict::Denied { .. } => panic!("{self:?}"),
        }
    }

    pub fn removed(&self) -> Vec<&str> {
        match self {
            Verdict::Allowed { removed, .. } => removed.iter().map(String::as_str).collect(),
            Verdict::Denied { .. } => panic!("{self:?}"),
        }
    }
}

/// As Envoy does: anything but OK denies, and 403 where no status is named.
fn verdict(response: CheckResponse) -> Verdict {
    let code = response.status.map_or(-1, |status| status.code);
    match response.http_response {
        Some(HttpResponse::OkResponse(allowed)) if code == 0 => {
            Verdict::Allowed { set: overwriting(allowed.headers), removed: allowed.headers_to_remove }
        }
        Some(HttpResponse::DeniedResponse(denied)) if code != 0 => Verdict::Denied {
            status: denied.status.map_or(403, |status| status.code),
            code,
            headers: overwriting(denied.headers),
            body: denied.body,
        },
        other => panic!("{code} {other:?}"),
    }
}

/// Each header once, and in the place of one that is there.
fn overwriting(headers: Vec<HeaderValueOption>) -> HashMap<String, String> {
    let mut set = HashMap::new();
    for option in headers {
        assert_eq!(option.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        assert!(option.keep_empty_value);
        let header = option.header.expect("a header");
        assert!(set.insert(header.key, header.value).is_none());
    }
    set
}
