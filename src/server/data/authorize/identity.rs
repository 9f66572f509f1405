//! The identity headers, for the application behind the gateway.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use bulla::claims::{Claims, append_envoy_metadata};
use uuid::Uuid;

use crate::{assertion::Assertions, clock, verification::Accepted};

/// The names. An answer that lets a request through has all of them, empty if need be, so that a client's own headers
/// never get through.
static NAMES: [HeaderName; 6] = [
    HeaderName::from_static("x-bulla-app-id"),
    HeaderName::from_static("x-bulla-api-key-id"),
    HeaderName::from_static("x-bulla-realm"),
    HeaderName::from_static("x-bulla-scopes"),
    HeaderName::from_static("x-bulla-expires-at"),
    HeaderName::from_static("x-bulla-assertion"),
];

/// The values that are texts of one string; the last one is the assertion.
const TEXTS: usize = NAMES.len() - 1;

/// The headers without values: to copy them takes less than to look for the place of each.
static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| NAMES.iter().map(|name| (name.clone(), empty())).collect());

/// The values, which nearly every request needs.
pub(super) struct Identity {
    text: String,
    ends: [usize; TEXTS],
    assertion: Option<HeaderValue>,
}

impl Identity {
    /// The identity of an accepted key, with an assertion if there are signing keys, for `audience` if the route names
    /// one. `None` if it does not fit into headers.
    pub(super) fn of(accepted: &Accepted, assertions: Option<&Assertions>, audience: Option<&str>) -> Option<Self> {
        let (mut text, id) = (String::with_capacity(256), accepted.id());
        text.push_str(accepted.app_id().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        let app_end = text.len();
        write!(text, "{id}").ok()?;
        let id_end = text.len();
        text.push_str(id.realm().as_str());
        let realm_end = text.len();
        text.push_str(&accepted.scopes_text());
        let scopes_end = text.len();
        // The key's issuer wrote them; everything else is bulla's own.
        if text[realm_end..].bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        if let Some(time) = accepted.expires_at() {
            clock::write_time(&mut text, time);
        }
        let ends = [app_end, id_end, realm_end, scopes_end, text.len()];
        let assertion = match assertions {
            Some(assertions) => Some(assertions.about(accepted, audience, clock::now_seconds())?),
            None => None,
        };
        Some(Identity { text, ends, assertion })
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
        let (mut headers, text, mut start) = (HEADERS.clone(), Bytes::from(self.text), 0);
        let mut slots = headers.values_mut();
        for (end, slot) in self.ends.into_iter().zip(slots.by_ref()) {
            if end > start {
                // The text fits into headers. Even if it did not, no header would be missing.
                *slot = HeaderValue::from_maybe_shared(text.slice(start..end)).unwrap_or_else(|_| empty());
            }
            start = end;
        }
        if let (Some(slot), Some(assertion)) = (slots.next(), self.assertion) {
            *slot = assertion;
        }
        headers
    }

    /// Names and values, for gRPC.
    pub(super) fn values(&self) -> impl Iterator<Item = (&HeaderName, &[u8])> {
        let starts = [0].into_iter().chain(self.ends);
        let texts = starts.zip(self.ends).map(|(start, end)| &self.text.as_bytes()[start..end]);
        let assertion = self.assertion.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        NAMES.iter().zip(texts.chain([assertion]))
    }
}

fn empty() -> HeaderValue {
    HeaderValue::from_static("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_under_its_name() {
        let text = "appidrealmtime".to_owned();
        let identity = |assertion| Identity { text: text.clone(), ends: [3, 5, 10, 10, 14], assertion };
        for (assertion, told) in [(None, ""), (Some(HeaderValue::from_static("a.b.c")), "a.b.c")] {
            let identity = identity(assertion);
            let expected = ["app", "id", "realm", "", "time", told];
            let values: Vec<_> = identity.values().map(|(name, value)| (name.clone(), value.to_vec())).collect();
            let headers = identity.into_headers();
            assert_eq!((headers.len(), values.len()), (6, 6));
            for ((name, value), (wanted, expected)) in values.iter().zip(NAMES.iter().zip(expected)) {
                assert_eq!((name, value.as_slice()), (wanted, expected.as_bytes()));
                assert_eq!(headers[name], expected);
            }
        }
    }
}
