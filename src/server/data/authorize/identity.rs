//! The identity headers, for the application behind the gateway.

use std::fmt::Write;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use bulla::claims::{Claims, append_envoy_metadata};
use uuid::Uuid;

use crate::{assertion::Assertions, clock, verification::Accepted};

/// The names. An answer that lets a request through has all of them, empty if need be, so that a client's own headers never get
/// through.
static NAMES: [HeaderName; 6] = [
    HeaderName::from_static("x-bulla-app-id"),
    HeaderName::from_static("x-bulla-api-key-id"),
    HeaderName::from_static("x-bulla-realm"),
    HeaderName::from_static("x-bulla-scopes"),
    HeaderName::from_static("x-bulla-expires-at"),
    HeaderName::from_static("x-bulla-assertion"),
];

/// The values in one text, as nearly every request needs them.
pub(super) struct Identity {
    text: String,
    ends: [usize; NAMES.len()],
}

impl Identity {
    /// The identity of an accepted key, with an assertion if there are signing keys, for `audience` if the route names one.
    /// `None` if it does not fit into headers.
    pub(super) fn of(accepted: &Accepted, assertions: Option<&Assertions>, audience: Option<&str>) -> Option<Self> {
        let (mut text, id) = (String::with_capacity(256), accepted.id());
        text.push_str(accepted.app_id().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        let app_end = text.len();
        write!(text, "{id}").ok()?;
        let id_end = text.len();
        text.push_str(id.realm().as_str());
        let realm_end = text.len();
        for (at, scope) in accepted.scopes().iter().enumerate() {
            text.push_str(if at == 0 { "" } else { " " });
            text.push_str(scope);
        }
        let scopes_end = text.len();
        // The key's issuer wrote them; everything else is bulla's own.
        if text[realm_end..].bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        if let Some(time) = accepted.expires_at() {
            write!(text, "{}", clock::timestamp(time)).ok()?;
        }
        let expires_end = text.len();
        if let Some(assertions) = assertions {
            text.push_str(&assertions.sign(accepted, audience, clock::now_seconds())?);
        }
        let ends = [app_end, id_end, realm_end, scopes_end, expires_end, text.len()];
        Some(Identity { text, ends })
    }

    /// What Envoy's rate limits and access logs read: a `google.protobuf.Struct`, encoded.
    pub(super) fn metadata(&self, accepted: &Accepted) -> Bytes {
        let [app_end, id_end, realm_end, ..] = self.ends;
        let (app_id, id, realm) = (&self.text[..app_end], &self.text[app_end..id_end], &self.text[id_end..realm_end]);
        let mut encoded = Vec::with_capacity(256);
        let scopes = accepted.scopes().iter().map(String::as_str);
        let meta =
            accepted.claims().into_iter().flat_map(Claims::meta).map(|(name, note)| (name.as_str(), note.as_str()));
        append_envoy_metadata(&mut encoded, app_id, id, realm, scopes, meta);
        encoded.into()
    }

    /// The headers, for HTTP.
    pub(super) fn into_headers(self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(NAMES.len());
        for (name, value) in self.into_values() {
            // The text fits into headers. Even if it did not, no header would be missing.
            headers.insert(name, HeaderValue::from_maybe_shared(value).unwrap_or(HeaderValue::from_static("")));
        }
        headers
    }

    /// Names and values, for gRPC.
    pub(super) fn into_values(self) -> impl Iterator<Item = (&'static HeaderName, Bytes)> {
        let (text, starts) = (Bytes::from(self.text), [0].into_iter().chain(self.ends));
        NAMES.iter().zip(starts.zip(self.ends).map(move |(start, end)| text.slice(start..end)))
    }
}
