//! The one credential of a request: from `Authorization: Bearer`, `Authorization: Basic` or `X-API-Key`. Never from the query,
//! and never one of several.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use super::basic::{self, Basic};
use crate::api_key::ApiKey;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request presents.
///
/// ```
/// use bulla::layer::Credential;
/// # use http::{HeaderMap, HeaderValue, header};
/// let mut headers = HeaderMap::new();
/// assert!(matches!(Credential::read(&headers, None), Credential::None));
/// headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer acme_live_0000"));
/// assert!(matches!(Credential::read(&headers, None), Credential::One(text) if text.expose() == "acme_live_0000"));
/// headers.insert("x-api-key", HeaderValue::from_static("acme_live_0001"));
/// assert!(matches!(Credential::read(&headers, None), Credential::Several));
/// ```
#[derive(Debug)]
pub enum Credential<'h> {
    /// Nothing, or nothing that could be an API key.
    None,
    /// One text.
    One(Presented<'h>),
    /// More than one header, one header more than once, or several texts joined in one.
    Several,
}

/// A text that was presented as an API key. It may be one, so `Debug` does not show it.
pub struct Presented<'h>(Text<'h>);

enum Text<'h> {
    InHeader(&'h str),
    Decoded(Zeroizing<String>),
}

impl<'h> Credential<'h> {
    /// Reads the credential from `headers`: from `Authorization` and `X-API-Key`, or from `only` that header where one is
    /// named. An empty header is none. Basic (RFC 7617) carries the key as the user name or as the password, whatever the
    /// other is, form-encoded or as it stands.
    pub fn read(headers: &'h HeaderMap, only: Option<&HeaderName>) -> Self {
        Self::read_where(headers, only, |text| text.parse::<ApiKey>().is_ok())
    }

    /// As [`read`](Self::read), where `is_key` says which half of Basic is the key, by the shape that keys have.
    pub fn read_where(headers: &'h HeaderMap, only: Option<&HeaderName>, is_key: impl Fn(&str) -> bool) -> Self {
        let mut all = Self::all(headers, only);
        let (Some((name, value)), another) = (all.next(), all.next()) else { return Credential::None };
        if another.is_some() {
            return Credential::Several;
        }
        match *name == header::AUTHORIZATION {
            true => from_authorization(value, is_key),
            false => value.to_str().map_or(Credential::None, Credential::one),
        }
    }

    /// Whether any header that [`read`](Self::read) looks at has something in it, be it an API key or not.
    pub fn is_presented(headers: &'h HeaderMap, only: Option<&HeaderName>) -> bool {
        Self::all(headers, only).next().is_some()
    }

    /// The headers that [`read`](Self::read) looks at, for removing them or handing them on.
    pub fn headers(only: Option<&HeaderName>) -> impl Iterator<Item = &HeaderName> {
        let usual = [&header::AUTHORIZATION, &X_API_KEY].into_iter().filter(move |_| only.is_none());
        usual.chain(only)
    }

    fn all<'n>(
        headers: &'h HeaderMap,
        only: Option<&'n HeaderName>,
    ) -> impl Iterator<Item = (&'n HeaderName, &'h HeaderValue)> {
        let values = |name| headers.get_all(name).iter().map(move |value| (name, value));
        Self::headers(only).flat_map(values).filter(|(name, value)| !is_empty(name, value))
    }

    /// No API key has a comma: a proxy joined two headers.
    fn one(text: &'h str) -> Self {
        if text.contains(',') { Credential::Several } else { Credential::One(Presented(Text::InHeader(text))) }
    }
}

/// Some clients send a header without a key in it beside the one with the key.
fn is_empty(name: &HeaderName, value: &HeaderValue) -> bool {
    let value = value.as_bytes().trim_ascii();
    let is = |scheme: &[u8]| *name == header::AUTHORIZATION && value.eq_ignore_ascii_case(scheme);
    value.is_empty() || is(b"bearer") || is(b"basic")
}

impl Presented<'_> {
    /// The text itself, for a verifier.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Text::InHeader(text) => text,
            Text::Decoded(text) => text,
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(…)")
    }
}

fn from_authorization(value: &HeaderValue, is_key: impl Fn(&str) -> bool) -> Credential<'_> {
    let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Credential::None;
    };
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        Credential::one(rest)
    } else if !scheme.eq_ignore_ascii_case("basic") {
        Credential::None
    } else if rest.contains(',') {
        // No base64 has a comma: a proxy joined two headers.
        Credential::Several
    } else {
        match basic::read(rest, is_key) {
            Basic::None => Credential::None,
            Basic::One(text) => Credential::One(Presented(Text::Decoded(text))),
            Basic::Several => Credential::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(headers: &[(&str, &str)], only: Option<&str>) -> String {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        match Credential::read(&all, only.map(|name| name.parse().expect("a name")).as_ref()) {
            Credential::None => "-".to_owned(),
            Credential::One(text) => text.expose().to_owned(),
            Credential::Several => "several".to_owned(),
        }
    }

    #[test]
    fn one_credential_in_one_header_once() {
        assert_eq!(read_from(&[], None), "-");
        assert_eq!(read_from(&[("authorization", "Bearer k")], None), "k");
        assert_eq!(read_from(&[("authorization", "bEARER  k ")], None), "k");
        assert_eq!(read_from(&[("authorization", "Basic azo=")], None), "k");
        assert_eq!(read_from(&[("authorization", "Basic azpwYXNz")], None), "k");
        assert_eq!(read_from(&[("authorization", "Basic aw==")], None), "k");
        assert_eq!(read_from(&[("authorization", "Basic azr/")], None), "k", "k:\\xff");
        assert_eq!(read_from(&[("authorization", "Basic /zpr")], None), "-", "\\xff:k");
        assert_eq!(
            read_from(&[("authorization", "Basic Ogo=")], None),
            "\n",
            "the password, where there is no user name"
        );
        assert_eq!(read_from(&[("authorization", "Basic az")], None), "-", "no base64");
        assert_eq!(read_from(&[("authorization", "Basic azEsazI6")], None), "several", "k1,k2:");
        assert_eq!(read_from(&[("authorization", "Basic azo=, Basic azo=")], None), "several");
        assert_eq!(read_from(&[("authorization", "Basic azo=,Bearer k")], None), "several");
        assert_eq!(read_from(&[("authorization", "Digest k, Bearer k")], None), "-");
        assert_eq!(read_from(&[("authorization", "Digest k")], None), "-");
        assert_eq!(read_from(&[("authorization", "k")], None), "-");
        assert_eq!(read_from(&[("x-api-key", "k")], None), "k");
        assert_eq!(read_from(&[("x-api-key", "k"), ("authorization", "Bearer k")], None), "several");
        assert_eq!(read_from(&[("x-api-key", "k"), ("x-api-key", "k")], None), "several");
        assert_eq!(read_from(&[("x-api-key", "k, l")], None), "several");
        assert_eq!(read_from(&[("authorization", "Bearer k, Bearer l")], None), "several");
        assert_eq!(read_from(&[("x_api_key", "k"), ("x.api.key", "k")], None), "-", "aliases are other headers");
        assert_eq!(read_from(&[("x-api-key", "k"), ("authorization", "Bearer jwt")], Some("x-api-key")), "k");
        assert_eq!(read_from(&[("x-key", "k")], Some("x-key")), "k");
        assert_eq!(read_from(&[("authorization", "Basic azo=")], Some("authorization")), "k");
    }

    #[test]
    fn an_api_key_is_either_half_of_basic_and_never_both() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        const KEY: &str =
            "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
        let basic = |pair: &str| read_from(&[("authorization", &format!("Basic {}", STANDARD.encode(pair)))], None);
        let encoded = KEY.replace('_', "%5F");
        for pair in
            [format!("{KEY}:"), format!("{KEY}:x,y"), format!("alice:{KEY}"), format!(":{KEY}"), format!("{encoded}:x")]
        {
            assert_eq!(basic(&pair), KEY, "{pair}");
        }
        assert_eq!(basic(&format!("{KEY}:{KEY}")), "several");
        assert_eq!(basic(&format!("{encoded}:{KEY}")), "several");
        assert_eq!(basic("alice:secret"), "alice", "which is no key either");
    }

    #[test]
    fn an_empty_header_is_no_credential() {
        for empty in [
            ("x-api-key", ""),
            ("x-api-key", " "),
            ("authorization", ""),
            ("authorization", "Bearer"),
            ("authorization", "basic "),
        ] {
            assert_eq!(read_from(&[empty], None), "-", "{empty:?}");
            assert_eq!(read_from(&[empty, ("x-api-key", "k")], None), "k", "{empty:?}");
            assert_eq!(read_from(&[("authorization", "Bearer k"), empty], None), "k", "{empty:?}");
        }
        assert_eq!(read_from(&[("authorization", "Digest"), ("x-api-key", "k")], None), "several");
    }

    #[test]
    fn what_was_presented_is_not_shown() {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Basic c2VjcmV0Og=="))]);
        let credential = Credential::read(&headers, None);
        assert_eq!(format!("{credential:?}"), "One(Presented(…))");
    }
}
