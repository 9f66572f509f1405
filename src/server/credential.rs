//! The one credential of a request: from `Authorization: Bearer`, `Authorization: Basic` (as the user name) or `X-API-Key`.
//! Never from the query, and never one of several.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request presents.
pub(super) enum Credential {
    /// Nothing, or nothing that could be an API key.
    None,
    /// One text.
    One(String),
    /// More than one header, one header more than once, or several texts joined in one.
    Several,
}

/// Reads the credential from `headers`; from `only` that header where a route names one.
pub(super) fn read(headers: &HeaderMap, only: Option<&HeaderName>) -> Credential {
    let names = match only {
        Some(name) => vec![name],
        None => vec![&header::AUTHORIZATION, &X_API_KEY],
    };
    let mut found = names.iter().flat_map(|name| headers.get_all(*name).iter().map(move |value| (*name, value)));
    let Some((name, value)) = found.next() else { return Credential::None };
    if found.next().is_some() {
        return Credential::Several;
    }
    let text =
        if *name == header::AUTHORIZATION { from_authorization(value) } else { value.to_str().ok().map(str::to_owned) };
    match text {
        // No API key has a comma: a proxy joined two headers.
        Some(text) if text.contains(',') => Credential::Several,
        Some(text) => Credential::One(text),
        None => Credential::None,
    }
}

fn from_authorization(value: &HeaderValue) -> Option<String> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(rest.to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        Some(pair.split_once(':').map_or(pair.as_str(), |(user, _)| user).to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(headers: &[(&str, &str)], only: Option<&str>) -> String {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value")))
            .fold(HeaderMap::new(), |mut all, (name, value): (HeaderName, HeaderValue)| {
                all.append(name, value);
                all
            });
        match read(&headers, only.map(|name| name.parse().expect("a name")).as_ref()) {
            Credential::None => "-".to_owned(),
            Credential::One(text) => text,
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
        assert_eq!(read_from(&[("authorization", "Digest k")], None), "-");
        assert_eq!(read_from(&[("authorization", "k")], None), "-");
        assert_eq!(read_from(&[("x-api-key", "k")], None), "k");
        assert_eq!(read_from(&[("x-api-key", "k"), ("authorization", "Bearer k")], None), "several");
        assert_eq!(read_from(&[("x-api-key", "k"), ("x-api-key", "k")], None), "several");
        assert_eq!(read_from(&[("authorization", "Bearer k, Bearer l")], None), "several");
        assert_eq!(read_from(&[("x_api_key", "k"), ("x.api.key", "k")], None), "-", "aliases are other headers");
        assert_eq!(read_from(&[("x-api-key", "k"), ("authorization", "Bearer jwt")], Some("x-api-key")), "k");
        assert_eq!(read_from(&[("x-key", "k")], Some("x-key")), "k");
    }
}
