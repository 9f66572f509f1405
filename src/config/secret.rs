//! `[pepper]` and `[secret]`: how secret halves are hashed and checked.

use std::collections::BTreeMap;

use bulla::{
    keyring::KeyVersion,
    secret::{Argon2id, SecretScheme},
    source::SourceUri,
};
use serde::Deserialize;

use super::Span;

/// The key in every hash of a secret half, versioned.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PepperConfig {
    /// The version that new hashes are made under.
    pub(crate) active: KeyVersion,
    /// The key source of each version that stored hashes are under.
    pub(crate) sources: BTreeMap<String, SourceUri>,
}

impl PepperConfig {
    /// The versions and their sources.
    pub(crate) fn versions(&self) -> Result<Vec<(KeyVersion, &SourceUri)>, String> {
        let version = |name: &String| name.parse().ok().and_then(KeyVersion::new);
        let wrong = |name: &String| format!("pepper.sources names `{name}`: versions are numbers from 1");
        self.sources.iter().map(|(name, uri)| Ok((version(name).ok_or_else(|| wrong(name))?, uri))).collect()
    }
}

/// How secret halves are hashed and checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretConfig {
    pub(crate) scheme: Scheme,
    /// Memory for all Argon2id hashes at a time, in MiB.
    pub(crate) memory_mib: u32,
    /// Checks that may wait for it.
    pub(crate) queue: usize,
    /// How long a verified secret half is not hashed again.
    pub(crate) cache_ttl: Span,
    pub(crate) cache_size: u64,
    /// How often a thousand stored hashes are looked at, whether they are as they were stored.
    pub(crate) scrub_interval: Span,
    /// Wrong secret halves of one key per minute, after which no more are hashed.
    pub(crate) wrong_per_minute: u32,
}

impl Default for SecretConfig {
    fn default() -> Self {
        SecretConfig {
            scheme: Scheme::HmacSha256,
            memory_mib: 256,
            queue: 1_000,
            cache_ttl: Span::seconds(60),
            cache_size: 100_000,
            scrub_interval: Span::seconds(60),
            wrong_per_minute: 20,
        }
    }
}

/// A scheme by its name.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) enum Scheme {
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "argon2id")]
    Argon2id,
    #[serde(rename = "argon2id-owasp")]
    Argon2idOwasp,
}

impl Scheme {
    pub(crate) fn setting(self) -> SecretScheme {
        match self {
            Scheme::HmacSha256 => SecretScheme::HmacSha256,
            Scheme::Argon2id => SecretScheme::Argon2id(Argon2id::DEFAULT),
            Scheme::Argon2idOwasp => SecretScheme::Argon2id(Argon2id::OWASP),
        }
    }
}
