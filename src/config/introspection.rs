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
    fn an_audience_is_not_empty() {
        let with = |audience: &str| BTreeMap::from([("app".to_owned(), audience.to_owned())]);
        for (audience, good) in [("shop", true), ("", false)] {
            let config = IntrospectionConfig { audiences: with(audience), ..IntrospectionConfig::default() };
            assert_eq!(config.check().is_ok(), good, "{audience}");
        }
    }
}
