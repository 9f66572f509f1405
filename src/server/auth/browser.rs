//! Cross-site requests of browsers. A browser adds a client certificate or a login by Basic to every request, also to
//! one that a page of another site made it send.

use axum::http::{HeaderMap, header};

/// Returns whether another site's page may have sent this (Fetch Metadata; RFC 6454, section 7).
pub(in crate::server) fn may_be_of_another_site(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site != "same-origin" && site != "none",
        None => headers.contains_key(header::ORIGIN),
    }
}

/// Returns whether the credential is a login by Basic that another site's page may have used.
pub(in crate::server) fn may_use_a_login(headers: &HeaderMap) -> bool {
    let basic = |value: &header::HeaderValue| {
        value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
    };
    headers.get_all(header::AUTHORIZATION).iter().any(basic) && may_be_of_another_site(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_of_other_sites_are_suspect() {
        for (headers, page) in [
            (&[][..], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://bulla.example")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("origin", "null")], true),
        ] {
            let named = |(name, value): &(&'static str, &'static str)| {
                (header::HeaderName::from_static(name), header::HeaderValue::from_static(value))
            };
            let mut map: HeaderMap = headers.iter().map(named).collect();
            assert_eq!(may_be_of_another_site(&map), page, "{headers:?}");
            for (authorization, login) in [("bAsIc azo=", page), ("Bearer k", false)] {
                map.insert(header::AUTHORIZATION, header::HeaderValue::from_static(authorization));
                assert_eq!(may_use_a_login(&map), login, "{headers:?} {authorization}");
            }
        }
    }
}
