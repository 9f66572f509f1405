//! Addresses of key servers: what they answer is a key, so it travels over TLS, or stays on this machine.

use std::net::IpAddr;

use super::{Problem, SourceError, SourceUri};

/// Refuses an address that is neither `https://HOST` nor on this machine, or that hides its host behind a user name.
pub(super) fn check(uri: &SourceUri, address: &str) -> Result<(), SourceError> {
    let fail = |detail: &str| Err(SourceError::new(uri, Problem::Uri, format!("`{address}` {detail}")));
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(known) {
        return fail("is no address such as https://host:8200");
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_local(authority) => Ok(()),
        "http" => fail("would send keys over the network in plain text: use https"),
        _ => fail("is neither https:// nor http:// on this machine"),
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
        let uri = "x:y".parse().unwrap();
        for good in
            ["https://vault:8200", "https://v.example/", "http://127.0.0.1:8200", "http://localhost", "http://[::1]:1"]
        {
            assert!(check(&uri, good).is_ok(), "{good}");
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
            assert!(check(&uri, bad).is_err(), "{bad}");
        }
    }
}
