//! The table `[introspection]`: what clients of OAuth 2.0 learn (RFC 7662).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Span;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IntrospectionConfig {
    /// The longest time from now that `exp` says, because clients cache until then; zero for the key's own expiry.
    pub(crate) max_exp: Span,
    /// The audience of callers that cannot send one: by the id of their API key, their app, or their name at an edge.
    pub(crate) audiences: BTreeMap<String, String>,
}

impl Default for IntrospectionConfig {
    fn default() -> Self {
        IntrospectionConfig { max_exp: Span::seconds(60), audiences: BTreeMap::new() }
    }
}

impl IntrospectionConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.max_exp.0.is_zero() && self.max_exp < Span::seconds(1) {
            return Err(
                "introspection.max_exp must be at least 1s, as `exp` is in whole seconds; `0s` is for no limit"
                    .to_owned(),
            );
        }
        match self.audiences.iter().find(|(_, audience)| audience.is_empty()) {
            Some((caller, _)) => {
                Err(format!("introspection.audiences has no audience for `{caller}`: name one, or remove it"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_exp_is_whole_seconds_or_none() {
        for (max_exp, good) in [("0s", true), ("1ns", false), ("900ms", false), ("1s", true), ("1500ms", true)] {
            let max_exp = crate::config::parse_span(max_exp).expect("a length of time");
            let config = IntrospectionConfig { max_exp, ..IntrospectionConfig::default() };
            assert_eq!(config.check().is_ok(), good, "{max_exp}");
        }
    }

    #[test]
    fn an_audience_is_not_empty() {
        let with = |audience: &str| BTreeMap::from([("app".to_owned(), audience.to_owned())]);
        for (audience, good) in [("shop", true), ("", false)] {
            let config = IntrospectionConfig { audiences: with(audience), ..IntrospectionConfig::default() };
            assert_eq!(config.check().is_ok(), good, "{audience}");
        }
    }
}
