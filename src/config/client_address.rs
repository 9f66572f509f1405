//! The gateways that are trusted to name clients' addresses.

use axum::http::HeaderName;
use bulla::claims::Cidr;
use serde::Deserialize;

/// A gateway that is trusted to name the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum TrustedProxy {
    /// Clients that connect from this block.
    Block(Cidr),
    /// Clients that connect to a Unix socket.
    Unix,
}

/// The name of a header.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HeaderField(pub(crate) HeaderName);

impl HeaderField {
    pub(crate) const X_FORWARDED_FOR: Self = HeaderField(HeaderName::from_static("x-forwarded-for"));
}

impl TryFrom<String> for TrustedProxy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "unix" => Ok(TrustedProxy::Unix),
            block => block
                .parse()
                .map(TrustedProxy::Block)
                .map_err(|error| format!("a trusted proxy is an address block or `unix`: {error}")),
        }
    }
}

impl TryFrom<String> for HeaderField {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(HeaderField).map_err(|_| "it must be the name of a header".to_owned())
    }
}
