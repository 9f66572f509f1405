//! The table `[assertion]`: signed assertions about accepted keys.

use std::fmt;

use bulla::source::SourceUri;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::Span;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AssertionConfig {
    /// The seeds of the keys: the first signs, all are published. Without one there are no assertions.
    pub(crate) signing_keys: Vec<SigningKeyConfig>,
    pub(crate) issuer: String,
    /// The audience where the route names none.
    pub(crate) audience: String,
    pub(crate) valid_for: Span,
}

/// A key that signs: a URI, or a table with its algorithm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SigningKeyConfig {
    pub(crate) source: SourceUri,
    pub(crate) algorithm: Algorithm,
}

/// What a key signs with, as its assertions name it in `alg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    /// Ed25519 under the name of RFC 8037.
    #[default]
    EdDSA,
    /// Ed25519 under its fully specified name of RFC 9864.
    Ed25519,
    /// ECDSA with P-256 and SHA-256 (RFC 7518).
    ES256,
}

impl Algorithm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Algorithm::EdDSA => "EdDSA",
            Algorithm::Ed25519 => "Ed25519",
            Algorithm::ES256 => "ES256",
        }
    }
}

impl From<SourceUri> for SigningKeyConfig {
    fn from(source: SourceUri) -> Self {
        SigningKeyConfig { source, algorithm: Algorithm::default() }
    }
}

impl<'de> Deserialize<'de> for SigningKeyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            source: SourceUri,
            #[serde(default)]
            algorithm: Algorithm,
        }

        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = SigningKeyConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the URI of a key, or a table with `source` and `algorithm`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SigningKeyConfig, E> {
                text.parse::<SourceUri>().map(SigningKeyConfig::from).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SigningKeyConfig, A::Error> {
                let Table { source, algorithm } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SigningKeyConfig { source, algorithm })
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

impl Default for AssertionConfig {
    fn default() -> Self {
        AssertionConfig {
            signing_keys: Vec::new(),
            issuer: String::new(),
            audience: String::new(),
            valid_for: Span::seconds(60),
        }
    }
}

impl AssertionConfig {
    /// Refuses assertions without an issuer or an audience, which no application could check.
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.signing_keys.is_empty() && (self.issuer.is_empty() || self.audience.is_empty()) {
            return Err(
                "assertion.signing_keys needs assertion.issuer and assertion.audience, which applications compare \
                 with what they expect"
                    .to_owned(),
            );
        }
        if self.valid_for.0.as_secs() == 0 {
            return Err("assertion.valid_for must be at least 1s".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_uri_or_a_table_with_its_algorithm() {
        let read = |keys: &str| toml::from_str::<AssertionConfig>(&format!("signing_keys = [{keys}]"));
        let config = read(r#""file:a.key", {source = "file:b.key", algorithm = "ES256"}, {source = "file:c.key"}"#);
        let keys = config.expect("keys").signing_keys;
        let of = |key: &SigningKeyConfig| (key.source.to_string(), key.algorithm.name());
        let expected = [("file:a.key", "EdDSA"), ("file:b.key", "ES256"), ("file:c.key", "EdDSA")];
        assert_eq!(keys.iter().map(of).collect::<Vec<_>>(), expected.map(|(key, name)| (key.to_owned(), name)));
        for (wrong, told) in [
            (r#"{source = "file:a.key", algorithm = "RS256"}"#, "ES256"),
            (r#"{algorithm = "ES256"}"#, "source"),
            (r#"{source = "file:a.key", key = 1}"#, "key"),
            ("1", "the URI of a key"),
        ] {
            let error = read(wrong).expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
