//! Who was let through, as the application behind the gateway hears it.

use std::fmt::Write;

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue},
};

use crate::{assertion::Assertions, clock, view::accepted::Accepted};

/// The names. All of them are in every answer that lets a request through, empty where there is nothing to say, so that a
/// client's own never gets through.
static NAMES: [HeaderName; 6] = [
    HeaderName::from_static("x-bulla-app-id"),
    HeaderName::from_static("x-bulla-api-key-id"),
    HeaderName::from_static("x-bulla-realm"),
    HeaderName::from_static("x-bulla-scopes"),
    HeaderName::from_static("x-bulla-expires-at"),
    HeaderName::from_static("x-bulla-assertion"),
];

/// The values, one behind the other: nearly every request asks for them, and so they are written in one piece.
pub(super) struct Identity {
    text: String,
    ends: [usize; NAMES.len()],
}

impl Identity {
    /// What is told of an accepted key, and the same signed where anything signs, for `audience` if the route names one.
    /// `None` if it fits in no header.
    pub(super) fn of(accepted: &Accepted, assertions: Option<&Assertions>, audience: Option<&str>) -> Option<Self> {
        let (mut text, id) = (String::with_capacity(256), accepted.id());
        write!(text, "{}", accepted.app_id()).ok()?;
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
        if let Some(time) = accepted.expires_at() {
            write!(text, "{}", clock::timestamp(time)).ok()?;
        }
        let expires_end = text.len();
        if let Some(assertions) = assertions {
            text.push_str(&assertions.sign(accepted, audience, clock::now_seconds())?);
        }
        let ends = [app_end, id_end, realm_end, scopes_end, expires_end, text.len()];
        text.bytes().all(|byte| !byte.is_ascii_control()).then_some(Identity { text, ends })
    }

    /// The headers, for HTTP.
    pub(super) fn into_headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let (text, starts) = (Bytes::from(self.text), [0].into_iter().chain(self.ends));
        let value = move |(start, end)| HeaderValue::from_maybe_shared(text.slice(start..end));
        // All of the text fits in a header. Even if it did not none would be missing, and let a client's own through.
        let values = starts.zip(self.ends).map(value).map(|value| value.unwrap_or(HeaderValue::from_static("")));
        NAMES.iter().cloned().zip(values)
    }

    /// Names and values, for gRPC.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let starts = [0].into_iter().chain(self.ends);
        NAMES.iter().map(HeaderName::as_str).zip(starts.zip(self.ends).map(|(start, end)| &self.text[start..end]))
    }
}
