//! The one credential of a request: from `Authorization: Bearer`, `Authorization: Basic` (as the user name) or `X-API-Key`.
//! Never from the query, and never one of several.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

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
    /// named. Basic (RFC 7617) carries it as the user name; the password is not looked at.
    pub fn read(headers: &'h HeaderMap, only: Option<&HeaderName>) -> Self {
        let mut found = None;
        for name in Self::headers(only) {
            for value in headers.get_all(name) {
                if found.replace((name, value)).is_some() {
                    return Credential::Several;
                }
            }
        }
        let Some((name, value)) = found else { return Credential::None };
        let text = match *name == header::AUTHORIZATION {
            true => from_authorization(value),
            false => value.to_str().ok().map(Text::InHeader),
        };
        match text.map(Presented) {
            // No API key has a comma: a proxy joined two headers.
            Some(text) if text.expose().contains(',') => Credential::Several,
            Some(text) => Credential::One(text),
            None => Credential::None,
        }
    }

    /// The headers that [`read`](Self::read) looks at, for whoever takes them off or hands them on.
    pub fn headers(only: Option<&HeaderName>) -> impl Iterator<Item = &HeaderName> {
        let usual = [&header::AUTHORIZATION, &X_API_KEY].into_iter().filter(move |_| only.is_none());
        usual.chain(only)
    }
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

fn from_authorization(value: &HeaderValue) -> Option<Text<'_>> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(Text::InHeader(rest))
    } else if scheme.eq_ignore_ascii_case("basic") && rest.contains(',') {
        // Two of them, joined: not to be read, and to be seen as several.
        Some(Text::InHeader(rest))
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = Zeroizing::new(BASE64.decode(rest).ok()?);
        let pair = std::str::from_utf8(&pair).ok()?;
        let user = pair.split_once(':').map_or(pair, |(user, _)| user);
        Some(Text::Decoded(Zeroizing::new(user.to_owned())))
    } else {
        None
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
        assert_eq!(read_from(&[("authorization", "Basic azr/")], None), "-", "k:\\xff");
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
    fn what_was_presented_is_not_shown() {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Basic c2VjcmV0Og=="))]);
        let credential = Credential::read(&headers, None);
        assert_eq!(format!("{credential:?}"), "One(Presented(…))");
    }
}
