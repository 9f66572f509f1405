//! Where a request may carry its API key: in which headers, and in which form.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    credential::{Credential, Found},
    form::{BASIC, Form, MAX_SCHEME, is_readable},
    presets,
};

/// The most places of one set of rules.
const MAX_PLACES: usize = 32;

static USUAL_PLACES: [CredentialHeader; 3] = [
    CredentialHeader { header: header::AUTHORIZATION, form: Form::Scheme(Cow::Borrowed("Bearer")) },
    CredentialHeader { header: header::AUTHORIZATION, form: Form::Basic },
    CredentialHeader { header: HeaderName::from_static("x-api-key"), form: Form::Value },
];

static USUAL: CredentialRules = CredentialRules { places: Cow::Borrowed(&USUAL_PLACES) };

/// The headers that an API key is read from, and its form in each. Never the query.
///
/// ```
/// use bulla::layer::{Credential, CredentialRules};
/// # use http::{HeaderMap, HeaderValue, header};
/// let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Token acme_live_0000"))]);
/// assert!(matches!(Credential::read(&headers, CredentialRules::usual()), Credential::None));
///
/// let mut rules = CredentialRules::none();
/// rules.add("from", "authorization=token")?;
/// assert!(matches!(Credential::read(&headers, &rules), Credential::One(text) if text.expose() == "acme_live_0000"));
/// # Ok::<(), bulla::layer::RulesError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRules {
    places: Cow<'static, [CredentialHeader]>,
}

/// One header, and the form of the key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CredentialHeader {
    header: HeaderName,
    form: Form,
}

/// More than one value is not empty.
struct Several;

/// A part of rules does not parse. No text quotes the part: where a route lacks its requirements, that may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The text before the `=` is not the name of a header.
    #[error("names no header")]
    Header,
    /// The text behind the `=` is not a scheme.
    #[error("names no scheme: words with single spaces between them, 64 characters at most")]
    Scheme,
    /// There is no preset of this name.
    #[error("names no known system: docs/HEADERS.md lists them")]
    Preset,
    /// The rules have 32 places already.
    #[error("is one header too many")]
    TooMany,
    /// A part is neither `from` nor `like`.
    #[error("is neither from nor like")]
    Part,
}

impl CredentialRules {
    /// `Authorization: Bearer`, `Authorization: Basic` and `X-API-Key`.
    pub fn usual() -> &'static Self {
        &USUAL
    }

    /// No header yet, to [`add`](Self::add) some to.
    pub const fn none() -> Self {
        CredentialRules { places: Cow::Owned(Vec::new()) }
    }

    /// This header alone: `Authorization` with its two usual schemes, or another one, whose value is the key.
    pub fn header(name: HeaderName) -> Self {
        let usual = USUAL_PLACES.iter().filter(|place| place.header == name).cloned();
        let mut places: Vec<_> = usual.collect();
        if places.is_empty() {
            places.push(CredentialHeader { header: name, form: Form::Value });
        }
        CredentialRules { places: Cow::Owned(places) }
    }

    /// Adds one part of a route's requirements, percent-decoded:
    ///
    /// | part | |
    /// |---|---|
    /// | `from`, `x-api-key` | the value of this header |
    /// | `from`, `authorization` | `Bearer` and `Basic` in `Authorization` |
    /// | `from`, `authorization=token` | this scheme in this header, in any case; `basic` is RFC 7617 |
    /// | `from`, `authorization=` | the value, without a scheme |
    /// | `like`, `django-rest-knox` | as the clients of this system send keys |
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), RulesError> {
        let added = match (name, value.split_once('=')) {
            ("from", None) => Self::header(value.parse().map_err(|_| RulesError::Header)?),
            ("from", Some((header, scheme))) => {
                let header = header.parse().map_err(|_| RulesError::Header)?;
                CredentialRules { places: Cow::Owned(vec![CredentialHeader { header, form: Form::parse(scheme)? }]) }
            }
            ("like", _) => {
                let preset = presets::find(value).ok_or(RulesError::Preset)?;
                let place = |(header, form): &(&'static str, Form)| CredentialHeader {
                    header: HeaderName::from_static(header),
                    form: form.clone(),
                };
                CredentialRules { places: preset.iter().map(place).collect() }
            }
            _ => return Err(RulesError::Part),
        };
        self.merge(&added);
        if self.places.len() > MAX_PLACES { Err(RulesError::TooMany) } else { Ok(()) }
    }

    /// Adds the places of `other`.
    pub fn merge(&mut self, other: &Self) {
        for place in &*other.places {
            if !self.places.contains(place) {
                self.places.to_mut().push(place.clone());
            }
        }
    }

    /// Each header once, for removing them or handing them on.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        let names = self.places.iter().map(|place| &place.header).enumerate();
        names
            .filter(|(at, name)| self.places[..*at].iter().all(|earlier| earlier.header != **name))
            .map(|(_, name)| name)
    }

    /// Reads the credential. `is_key` says which half of Basic is the key, by the shape that keys have.
    pub fn read<'h>(&self, headers: &'h HeaderMap, is_key: impl Fn(&str) -> bool) -> Credential<'h> {
        match self.only(headers) {
            Ok(Some((name, value))) => self.read_value(name, value, is_key),
            Ok(None) => Credential::None,
            Err(Several) => Credential::Several,
        }
    }

    /// The one value that is not empty.
    fn only<'h>(&self, headers: &'h HeaderMap) -> Result<Option<(&HeaderName, &'h [u8])>, Several> {
        let mut only = None;
        for name in self.headers() {
            for value in headers.get_all(name).iter().map(HeaderValue::as_bytes) {
                if !self.is_empty(name, value) && only.replace((name, value)).is_some() {
                    return Err(Several);
                }
            }
        }
        Ok(only)
    }

    /// The same from names, in any case, and values. Headers that the rules do not name are passed over.
    pub fn read_values<'v>(
        &self,
        values: impl Iterator<Item = (&'v str, &'v [u8])>,
        is_key: impl Fn(&str) -> bool,
    ) -> Credential<'v> {
        let known = values.filter_map(|(name, value)| {
            let place = self.places.iter().find(|place| place.header.as_str().eq_ignore_ascii_case(name))?;
            Some((&place.header, value))
        });
        self.read_one(known, is_key)
    }

    /// Returns whether any of the headers is not empty, whether it holds an API key or not.
    pub fn is_presented(&self, headers: &HeaderMap) -> bool {
        self.values(headers).any(|(name, value)| !self.is_empty(name, value))
    }

    fn values<'s, 'h>(&'s self, headers: &'h HeaderMap) -> impl Iterator<Item = (&'s HeaderName, &'h [u8])> {
        self.headers().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value.as_bytes())))
    }

    pub(crate) fn read_one<'s, 'v>(
        &'s self,
        values: impl Iterator<Item = (&'s HeaderName, &'v [u8])>,
        is_key: impl Fn(&str) -> bool,
    ) -> Credential<'v> {
        let mut all = values.filter(|(name, value)| !self.is_empty(name, value));
        let (Some((name, value)), another) = (all.next(), all.next()) else { return Credential::None };
        if another.is_some() { Credential::Several } else { self.read_value(name, value, is_key) }
    }

    /// Reads the one value that is not empty.
    #[inline]
    pub(crate) fn read_value<'v>(
        &self,
        name: &HeaderName,
        value: &'v [u8],
        is_key: impl Fn(&str) -> bool,
    ) -> Credential<'v> {
        if !is_readable(value) {
            return Credential::None;
        }
        let places = self.places.iter().filter(|place| place.header == *name);
        places
            .map(|place| place.form.read(value, &is_key))
            .find(Found::is_some)
            .map_or(Credential::None, Found::credential)
    }

    /// Some clients send a header without a key in it beside the one with the key.
    pub(crate) fn is_empty(&self, name: &HeaderName, value: &[u8]) -> bool {
        let value = value.trim_ascii();
        // As nearly every value is.
        if value.len() > MAX_SCHEME {
            return false;
        }
        let is = |scheme: &str| value.eq_ignore_ascii_case(scheme.as_bytes());
        let of_rules = |place: &CredentialHeader| place.header == *name && place.form.scheme().is_some_and(is);
        value.is_empty() || self.places.iter().chain(&USUAL_PLACES).any(of_rules)
    }

    /// The challenge of a 401: every scheme that is accepted, in one header, and Basic first.
    pub(super) fn challenge(&self, error: Option<&'static str>) -> HeaderValue {
        if let (Cow::Borrowed(_), Some(usual)) = (&self.places, usual_challenge(error)) {
            return usual;
        }
        let in_authorization = self.places.iter().filter(|place| place.header == header::AUTHORIZATION);
        let schemes = in_authorization.filter_map(|place| place.form.scheme());
        let mut names: Vec<&str> = schemes.filter(|name| !name.contains(' ') && *name != BASIC).collect();
        names.dedup_by(|one, other| one.eq_ignore_ascii_case(other));
        // RFC 9110 wants a challenge, and where none fits this one says the least.
        if names.is_empty() && !self.accepts_basic() {
            names.push("Bearer");
        }
        // Bearer has errors (RFC 6750), so it stands behind the others.
        names.sort_by_key(|name| name.eq_ignore_ascii_case("Bearer"));
        let basic = self.accepts_basic().then(|| r#"Basic realm="bulla""#.to_owned());
        let mut all: Vec<String> = basic.into_iter().chain(names.into_iter().map(str::to_owned)).collect();
        if let (Some(last), Some(error)) = (all.last_mut(), error) {
            last.push_str(if last.contains(' ') { ", error=\"" } else { " error=\"" });
            last.push_str(error);
            last.push('"');
        }
        HeaderValue::from_str(&all.join(", ")).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    fn accepts_basic(&self) -> bool {
        self.places.iter().any(|place| place.header == header::AUTHORIZATION && place.form == Form::Basic)
    }
}

/// The usual challenges, which need no memory.
fn usual_challenge(error: Option<&str>) -> Option<HeaderValue> {
    Some(HeaderValue::from_static(match error {
        None => r#"Basic realm="bulla", Bearer"#,
        Some("invalid_request") => r#"Basic realm="bulla", Bearer error="invalid_request""#,
        Some("invalid_token") => r#"Basic realm="bulla", Bearer error="invalid_token""#,
        Some(_) => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(parts: &[&str]) -> CredentialRules {
        let mut rules = CredentialRules::none();
        for part in parts {
            let (name, value) = part.split_once(':').expect("a part");
            rules.add(name, value).unwrap_or_else(|error| panic!("{part} {error}"));
        }
        rules
    }

    fn read(rules: &CredentialRules, headers: &[(&str, &str)]) -> String {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        let is_key = |text: &str| text.starts_with("k_");
        let shown = |credential| match credential {
            Credential::None => "-".to_owned(),
            Credential::One(text) => text.expose().to_owned(),
            Credential::Several => "several".to_owned(),
        };
        let (by_map, values) =
            (shown(rules.read(&all, is_key)), headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        assert_eq!(shown(rules.read_values(values, is_key)), by_map, "{headers:?}");
        by_map
    }

    #[test]
    fn a_key_is_read_in_the_forms_that_the_rules_name_and_in_no_other() {
        for (part, accepted, refused) in [
            (
                "from:authorization=token",
                &["Token k_1", "token  k_1 ", "TOKEN k_1"][..],
                &["Bearer k_1", "k_1", "Tokenk_1"][..],
            ),
            ("from:authorization=api-key", &["Api-Key k_1"], &["ApiKey k_1", "users API-Key k_1"]),
            (
                "from:authorization=users API-Key",
                &["users API-Key k_1", "Users api-key k_1"],
                &["API-Key k_1", "users k_1"],
            ),
            ("from:authorization=", &["k_1", " k_1"], &[]),
            ("from:authorization=basic", &["Basic a18xOng=", "basic eDprXzE="], &["Basic k_1", "Bearer k_1"]),
            ("from:authorization", &["Bearer k_1", "Basic a18xOng="], &["Token k_1", "k_1"]),
            ("like:bulla", &["Bearer k_1", "Basic a18xOng="], &["Token k_1"]),
            ("like:django-rest-knox", &["Token k_1"], &["Bearer k_1"]),
            ("like:jupyterhub", &["token k_1", "Bearer k_1"], &["Basic a18xOng="]),
            ("like:medusa", &["Basic a18xOg==", "Basic k_1"], &["Bearer k_1"]),
            ("like:unleash", &["k_1"], &[]),
        ] {
            let rules = rules(&[part]);
            for value in accepted {
                assert_eq!(read(&rules, &[("Authorization", value)]), "k_1", "{part}: {value}");
            }
            for value in refused {
                assert_eq!(read(&rules, &[("Authorization", value)]), "-", "{part}: {value}");
            }
        }
        let litellm = rules(&["like:litellm"]);
        for value in ["k_1", "Bearer k_1"] {
            assert_eq!(read(&litellm, &[("X-LiteLLM-API-Key", value)]), "k_1");
        }
        assert_eq!(read(&rules(&["from:x-api-key"]), &[("authorization", "Bearer jwt"), ("x-api-key", "k_1")]), "k_1");
    }

    #[test]
    fn one_credential_alone_and_an_empty_header_is_none() {
        let rules = rules(&["like:django-rest-knox", "from:private-token"]);
        for (value, another, read_) in [
            ("Token", "k_1", "k_1"),
            ("Bearer", "k_1", "k_1"),
            ("", "k_1", "k_1"),
            ("Token k_1", " ", "k_1"),
            ("Token k_1", "k_1", "several"),
            ("Bearer k_2", "k_1", "several"),
            ("Token k_1, Token k_2", "", "several"),
        ] {
            assert_eq!(
                read(&rules, &[("authorization", value), ("private-token", another)]),
                read_,
                "{value} {another}"
            );
        }
        assert_eq!(read(&rules, &[("private-token", "k_1"), ("Private-Token", "k_1")]), "several");
    }

    #[test]
    fn a_challenge_names_what_is_accepted() {
        for (parts, challenge, with_error) in [
            (&["like:bulla"][..], r#"Basic realm="bulla", Bearer"#, r#"Basic realm="bulla", Bearer error="e""#),
            (&["from:authorization=basic"], r#"Basic realm="bulla""#, r#"Basic realm="bulla", error="e""#),
            (&["like:django-rest-knox"], "Token", r#"Token error="e""#),
            (
                &["from:authorization", "like:django-rest-knox"],
                r#"Basic realm="bulla", Token, Bearer"#,
                r#"Basic realm="bulla", Token, Bearer error="e""#,
            ),
            (&["like:payload"], "Bearer", r#"Bearer error="e""#),
            (&["like:unleash", "from:x-key"], "Bearer", r#"Bearer error="e""#),
            (&["like:medusa"], r#"Basic realm="bulla""#, r#"Basic realm="bulla", error="e""#),
        ] {
            let rules = rules(parts);
            assert_eq!(rules.challenge(None), challenge, "{parts:?}");
            assert_eq!(rules.challenge(Some("e")), with_error, "{parts:?}");
        }
        assert_eq!(CredentialRules::usual().challenge(None), r#"Basic realm="bulla", Bearer"#);
    }

    #[test]
    fn what_does_not_parse_is_an_error() {
        let mut rules = CredentialRules::none();
        for (name, value, error) in [
            ("from", "", RulesError::Header),
            ("from", "a b", RulesError::Header),
            ("from", "=token", RulesError::Header),
            ("from", "authorization=a  b", RulesError::Scheme),
            ("from", "authorization= a", RulesError::Scheme),
            ("from", "authorization=a,b", RulesError::Scheme),
            ("like", "nothing", RulesError::Preset),
            ("unlike", "bulla", RulesError::Part),
        ] {
            assert_eq!(rules.add(name, value), Err(error), "{name}:{value}");
        }
        let long = format!("authorization={}", "a".repeat(65));
        assert_eq!(rules.add("from", &long), Err(RulesError::Scheme));
        for at in 0..MAX_PLACES {
            assert_eq!(rules.add("from", &format!("x-{at}")), Ok(()));
        }
        assert_eq!(rules.add("from", "x-0"), Ok(()), "again");
        assert_eq!(rules.add("from", "x-more"), Err(RulesError::TooMany));
    }

    #[test]
    fn every_preset_is_one_of_rules() {
        for (name, places) in presets::PRESETS {
            let rules = rules(&[&format!("like:{name}")]);
            assert_eq!(rules.places.len(), places.len(), "{name}");
        }
    }
}
