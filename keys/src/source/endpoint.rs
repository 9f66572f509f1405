//! Addresses of servers that are asked with a secret, or for a key: over TLS, or on this machine.

use std::net::IpAddr;

#[cfg(any(feature = "vault-transit", feature = "aws-kms"))]
use super::{SourceError, SourceErrorKind, SourceUri};

/// Refuses an address as [`fault`] does, for a source.
#[cfg(any(feature = "vault-transit", feature = "aws-kms"))]
pub(super) fn check(uri: &SourceUri, address: &str) -> Result<(), SourceError> {
    let fail = |detail: &str| Err(SourceError::new(uri, SourceErrorKind::Uri, format!("`{address}` {detail}")));
    fault(address).map_or(Ok(()), fail)
}

/// What is wrong with an address that is neither `https://HOST` nor on this machine, or that hides its host behind a
/// user name.
pub(crate) fn fault(address: &str) -> Option<&'static str> {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(known) {
        return Some("is not an address such as https://host:8200");
    }
    match scheme {
        "https" => None,
        "http" if is_local(authority) => None,
        "http" => Some("would send keys over the network in plain text: use https"),
        _ => Some("is neither https:// nor http:// on this machine"),
    }
}

fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_travel_over_tls_or_stay_on_this_machine() {
        for good in
            ["https://vault:8200", "https://v.example/", "http://127.0.0.1:8200", "http://localhost", "http://[::1]:1"]
        {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            "http://vault",
            "http://127.0.0.1@evil",
            "https://good@evil",
            "http://127.0.0.1.evil",
            "https://",
            "ftp://localhost",
            "x",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
