//! The requirements of a gateway's route, a text that no client can set: the first path segment behind
//! `/v1/authorize/`, the context extension of a route in Envoy, or the setting of a module.

use std::borrow::Cow;

use crate::{claims::Claims, layer::CredentialRules, realm::Realm};

/// The most realms, and scopes, that a route may name. Any client of a service's data plane may send as many as fit in
/// a request, and each one costs something.
const MAX_NAMES: usize = 64;

/// The requirements of a route. Without any, the configured defaults count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Required {
    /// Accepts keys of these realms.
    pub realms: Vec<Realm>,
    /// All of these scopes are needed.
    pub scopes: Vec<String>,
    /// The caller's own audience.
    pub audience: Option<String>,
    /// Where the key is read from; where the realms say, without it.
    pub from: Option<CredentialRules>,
}

/// Requirements that do not parse. The text names the wrong part by its number, without a quote: if a route lacks its
/// segment, that is a client's path, which may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequiredError(String);

impl Required {
    /// Reads `realm:live,scope:orders.read,aud:shop,from:x-api-key,like:jupyterhub`, any part in any order, or `-`.
    pub fn parse(segment: &str) -> Result<Self, RequiredError> {
        let mut required = Required::default();
        if segment == "-" {
            return Ok(required);
        }
        for (at, part) in segment.split(',').enumerate() {
            let wrong = |what: &str| RequiredError(format!("part {} of the route's requirements {what}", at + 1));
            let (name, value) = part.split_once(':').ok_or_else(|| wrong("is not `name:value`"))?;
            let value = percent_decode(value).filter(|value| !value.is_empty()).ok_or_else(|| wrong("has no value"))?;
            match name {
                "realm" => match value.parse::<Realm>() {
                    Ok(Realm::ADMIN) => {
                        return Err(wrong("names the realm `bulla`, whose keys are never accepted here"));
                    }
                    Ok(realm) if required.realms.contains(&realm) => {}
                    Ok(_) if required.realms.len() == MAX_NAMES => return Err(wrong("is one realm too many")),
                    Ok(realm) => required.realms.push(realm),
                    Err(_) => return Err(wrong("names no realm")),
                },
                "scope" if Claims::is_scope(&value) => match &required.scopes {
                    scopes if scopes.contains(&value) => {}
                    scopes if scopes.len() == MAX_NAMES => return Err(wrong("is one scope too many")),
                    _ => required.scopes.push(value),
                },
                "scope" => return Err(wrong("names no scope")),
                "aud" if required.audience.is_none() => required.audience = Some(value),
                "from" | "like" => {
                    let rules = required.from.get_or_insert_with(CredentialRules::none);
                    rules.add(name, &value).map_err(|error| wrong(&error.to_string()))?;
                }
                "aud" => return Err(wrong("stands there twice")),
                _ => return Err(wrong("is none of realm, scope, aud, from and like")),
            }
        }
        Ok(required)
    }
}

/// Percent-decoding (RFC 3986), for values that a path cannot hold as they are. An escape without two digits is
/// refused.
fn percent_decode(value: &str) -> Option<String> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !value.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_encoding::percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_in_any_order() {
        let all =
            Required::parse("from:x-api-key,scope:a,aud:https%3A%2F%2Fshop,realm:live,scope:b").expect("requirements");
        assert_eq!(all.realms, ["live".parse().expect("a realm")]);
        assert_eq!(all.scopes, ["a", "b"]);
        assert_eq!(all.audience.as_deref(), Some("https://shop"));
        assert_eq!(all.from, Some(CredentialRules::header("x-api-key".parse().expect("a header"))));
        assert_eq!(Required::parse("-"), Ok(Required::default()));
    }

    #[test]
    fn what_does_not_parse_is_an_error() {
        for bad in [
            "",
            "realm",
            "realm:",
            "realm:Live",
            "realm:bulla",
            "nope:1",
            "aud:a,aud:b",
            "from:a b",
            "from:authorization=a%00",
            "like:nothing",
            "scope:%4",
            "scope:a,",
            "scope:a%20b",
            "scope:a%22",
            "scope:%00",
            "scope:\u{e9}",
            "--",
        ] {
            assert!(Required::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_route_names_a_bounded_number_of_realms_and_scopes() {
        let named = |kind: &str, most: usize| (0..most).map(|at| format!("{kind}:a{at}")).collect::<Vec<_>>().join(",");
        for kind in ["realm", "scope"] {
            assert!(Required::parse(&named(kind, MAX_NAMES)).is_ok(), "{kind}");
            let error = Required::parse(&named(kind, MAX_NAMES + 1)).expect_err("one too many");
            assert_eq!(error.to_string(), format!("part 65 of the route's requirements is one {kind} too many"));
        }
        assert_eq!(Required::parse("realm:live,".repeat(9_999).trim_end_matches(',')).expect("one").realms.len(), 1);
    }
}
