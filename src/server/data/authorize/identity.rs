//! Who was let through, as the application behind the gateway hears it.

use std::fmt::{self, Write};

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
        let (mut text, mut ends) = (String::with_capacity(256), [0; NAMES.len()]);
        let [app, id, realm, scopes, expires, assertion] = &mut ends;
        let mut add = |end: &mut usize, value: fmt::Arguments<'_>| {
            text.write_fmt(value).ok()?;
            *end = text.len();
            Some(())
        };
        let key = accepted.id();
        add(app, format_args!("{}", accepted.app_id()))?;
        add(id, format_args!("{key}"))?;
        add(realm, format_args!("{}", key.realm()))?;
        for (at, scope) in accepted.scopes().iter().enumerate() {
            add(scopes, format_args!("{}{scope}", if at == 0 { "" } else { " " }))?;
        }
        *scopes = (*scopes).max(*realm);
        match accepted.expires_at() {
            Some(time) => add(expires, format_args!("{}", clock::timestamp(time)))?,
            None => *expires = *scopes,
        }
        match assertions {
            Some(assertions) => {
                add(assertion, format_args!("{}", assertions.sign(accepted, audience, clock::now_seconds())?))?;
            }
            None => *assertion = *expires,
        }
        text.bytes().all(|byte| !byte.is_ascii_control()).then_some(Identity { text, ends })
    }

    /// The headers, for HTTP.
    pub(super) fn into_headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let (text, starts) = (Bytes::from(self.text), [0].into_iter().chain(self.ends));
        let value = move |(start, end)| HeaderValue::from_maybe_shared(text.slice(start..end)).ok();
        // None is left out: all of the text fits in one.
        NAMES.iter().cloned().zip(starts.zip(self.ends).map_while(value))
    }

    /// Names and values, for gRPC.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let starts = [0].into_iter().chain(self.ends);
        NAMES.iter().map(HeaderName::as_str).zip(starts.zip(self.ends).map(|(start, end)| &self.text[start..end]))
    }
}
