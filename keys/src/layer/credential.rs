//! The one credential of a request: from the headers that the rules name. Never from the query, and never one of
//! several.

use std::fmt;

use http::HeaderMap;
use zeroize::Zeroizing;

use super::{
    CredentialRules,
    basic::{self, Basic},
};
use crate::api_key::ApiKey;

/// What a request presents. Exhaustive on purpose: each case is refused or verified, and none is passed over.
///
/// ```
/// use bulla::layer::{Credential, CredentialRules};
/// # use http::{HeaderMap, HeaderValue, header};
/// let (mut headers, usual) = (HeaderMap::new(), CredentialRules::usual());
/// assert!(matches!(Credential::read(&headers, usual), Credential::None));
/// headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer acme_live_0000"));
/// assert!(matches!(Credential::read(&headers, usual), Credential::One(text) if text.expose() == "acme_live_0000"));
/// headers.insert("x-api-key", HeaderValue::from_static("acme_live_0001"));
/// assert!(matches!(Credential::read(&headers, usual), Credential::Several));
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

pub(super) enum Text<'h> {
    /// Printable ASCII.
    InHeader(&'h [u8]),
    Decoded(Zeroizing<String>),
}

impl<'h> Credential<'h> {
    /// Reads the credential from `headers` by these rules. An empty header is none. Basic (RFC 7617) carries the key as
    /// the user name or as the password, whatever the other is, form-encoded or as it stands.
    pub fn read(headers: &'h HeaderMap, rules: &CredentialRules) -> Self {
        rules.read(headers, |text| text.parse::<ApiKey>().is_ok())
    }
}

/// What one form finds in a value.
pub(super) enum Found<'v> {
    /// Nothing that could be an API key.
    None,
    One(Text<'v>),
    Several,
}

impl<'v> Found<'v> {
    /// No API key has a comma: a proxy joined two headers.
    #[inline]
    pub(super) fn one(text: &'v [u8]) -> Self {
        if memchr::memchr(b',', text).is_some() { Found::Several } else { Found::One(Text::InHeader(text)) }
    }

    /// In the base64 text of Basic.
    pub(super) fn in_basic(text: &[u8], is_key: impl Fn(&str) -> bool) -> Self {
        // No base64 has a comma: a proxy joined two headers.
        if memchr::memchr(b',', text).is_some() {
            return Found::Several;
        }
        match basic::read(text, is_key) {
            Basic::None => Found::None,
            Basic::One(text) => Found::One(Text::Decoded(text)),
            Basic::Several => Found::Several,
        }
    }

    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Found::None)
    }

    pub(super) fn credential(self) -> Credential<'v> {
        match self {
            Found::None => Credential::None,
            Found::One(text) => Credential::One(Presented(text)),
            Found::Several => Credential::Several,
        }
    }
}

impl Presented<'_> {
    /// The text itself, for a verifier.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Text::InHeader(text) => str::from_utf8(text).unwrap_or_default(),
            Text::Decoded(text) => text,
        }
    }

    #[cfg(feature = "gateway")]
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Text::InHeader(text) => text,
            Text::Decoded(text) => text.as_bytes(),
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(…)")
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, header};

    use super::*;

    fn read_from(headers: &[(&str, &str)], only: Option<&str>) -> String {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        let usual = CredentialRules::usual().clone();
        match Credential::read(&all, &only.map_or(usual, |name| CredentialRules::header(name.parse().expect("a name"))))
        {
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
        assert_eq!(basic("alice:secret"), "alice", "which is not a key either");
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
        let credential = Credential::read(&headers, CredentialRules::usual());
        assert_eq!(format!("{credential:?}"), "One(Presented(…))");
    }
}
