//! Who was let through, as the application behind the gateway hears it.

use axum::http::{HeaderName, HeaderValue};

use crate::{clock, view::accepted::Accepted};

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

/// A value for each name.
pub(super) struct Identity([HeaderValue; 6]);

impl Identity {
    /// What is told of an accepted key, and the same signed, if it is; `None` if it fits in no header.
    pub(super) fn of(accepted: &Accepted, assertion: String) -> Option<Self> {
        let header = |value: String| HeaderValue::try_from(value).ok();
        let expires_at = accepted.expires_at().map(|time| clock::timestamp(time).to_string()).unwrap_or_default();
        Some(Identity([
            header(accepted.app_id().to_string())?,
            header(accepted.id().to_string())?,
            header(accepted.id().realm().to_string())?,
            header(accepted.scopes().join(" "))?,
            header(expires_at)?,
            header(assertion)?,
        ]))
    }

    pub(super) fn into_headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        NAMES.iter().cloned().zip(self.0)
    }
}
