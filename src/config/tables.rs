//! The tables of `bulla.toml` and their defaults. `default.toml` shows them all; a test compares the two.

use std::collections::BTreeMap;

use bulla::{
    keyring::{KeyVersion, Suite},
    secret::{Argon2id, SecretScheme},
    source::SourceUri,
};
use serde::Deserialize;

use super::{HeaderField, KeyHeaders, Listen, OldSystemConfig, Span, TlsConfig, TrustedProxy, UnixMode};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyringConfig {
    pub(crate) source: SourceUri,
    pub(crate) mac_source: SourceUri,
    #[serde(default = "trusted_sources")]
    pub(crate) trusted_sources: Vec<String>,
    #[serde(default = "refresh_interval")]
    pub(crate) refresh_interval: Span,
}

fn trusted_sources() -> Vec<String> {
    vec!["file:".to_owned()]
}

fn refresh_interval() -> Span {
    Span::seconds(60)
}

/// Automatic rotation by age.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotationConfig {
    pub(crate) automatic: bool,
    /// The age at which the active version is replaced.
    pub(crate) every: Span,
    pub(crate) sources: Vec<SourceUri>,
    pub(crate) suite: Suite,
}

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

/// Whether the keys of a realm have secret halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretPolicy {
    /// No key gets one.
    Off,
    /// A key gets one on request.
    #[default]
    Optional,
    /// Every key gets one, and no other key is accepted.
    Required,
}

/// The revocation feed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FeedConfig {
    /// The seed of the key that signs it; without one there is no feed.
    pub(crate) signing_key: Option<SourceUri>,
    /// How long a message is valid.
    pub(crate) valid_for: Span,
}

impl ServerConfig {
    /// The memory for bodies, in bytes.
    pub(crate) fn body_memory(&self) -> usize {
        (self.body_memory_mib as usize) << 20
    }

    /// The longest message of Envoy, which may include the client's body.
    pub(crate) fn max_check(&self) -> usize {
        self.max_batch_body.max(4 << 20)
    }

    /// Refuses bounds that contradict each other.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.max_head < 8192 {
            return Err("server.max_head must be at least 8192".to_owned());
        }
        if self.max_connections == 0 {
            return Err("server.max_connections must be at least 1".to_owned());
        }
        let longest = self.max_body.max(self.max_check());
        if self.body_memory() < longest {
            let mib = longest.div_ceil(1 << 20);
            return Err(format!(
                "server.body_memory_mib is {}, too little for the longest body: it must be at least {mib}",
                self.body_memory_mib
            ));
        }
        Ok(())
    }
}

/// How the last use of each key is recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LastUsedConfig {
    pub(crate) flush_interval: Span,
    /// Distinct keys between two flushes.
    pub(crate) max_ids: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyConfig {
    #[serde(default)]
    pub(crate) default_realms: Vec<String>,
    /// How long keys are verified while the revocation log cannot be read; unlimited by default.
    #[serde(default)]
    pub(crate) max_staleness: Option<Span>,
}

/// The issuing policy of one realm.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RealmConfig {
    /// The lifetime of a key whose request names no expiry.
    pub(crate) default_ttl: Option<Span>,
    /// The longest lifetime of a key.
    pub(crate) max_ttl: Option<Span>,
    pub(crate) allow_forever: Option<bool>,
    /// The scopes that a key may have; an entry that ends in `*` allows every scope that begins with it.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) app_ids: Option<Vec<uuid::Uuid>>,
    pub(crate) secret: SecretPolicy,
    /// The scheme of this realm's secret halves, if it differs from the default.
    pub(crate) secret_scheme: Option<Scheme>,
    /// Whether imported keys are accepted; by default, unless secret halves are required.
    pub(crate) accept_imported: Option<bool>,
    /// Whether a sealed key is issued for an imported one, once, when that is verified.
    pub(crate) replace_imported: bool,
    /// Where gateways' clients send its keys; in the usual headers by default.
    pub(crate) headers: Option<KeyHeaders>,
    /// The check of an old system, which is asked about keys that nobody imported.
    pub(crate) old_system: Option<OldSystemConfig>,
    /// The recipient that new keys are encrypted to; the module `escrow` parses it. Its errors do not quote the text, which may be
    /// an identity.
    pub(crate) escrow: Option<String>,
}

/// Imported keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImportedConfig {
    /// Secrets of old systems, by the names that imports use.
    #[serde(alias = "hmac_keys")]
    pub(crate) secrets: BTreeMap<String, SourceUri>,
}

impl RealmConfig {
    /// Whether a key may have no expiry; by default, unless there is a maximum.
    pub(crate) fn may_live_for_ever(&self) -> bool {
        self.allow_forever.unwrap_or(self.max_ttl.is_none())
    }

    /// Whether imported keys are accepted: where secret halves are required, write access to the store must not suffice to make a
    /// key.
    pub(crate) fn accepts_imported(&self) -> bool {
        self.accept_imported.unwrap_or(self.secret != SecretPolicy::Required)
    }

    /// Refuses a policy that contradicts itself.
    pub(super) fn check(&self) -> Result<(), String> {
        let nothing = |span: Option<Span>| span.is_some_and(|span| span.0.is_zero());
        if nothing(self.default_ttl) || nothing(self.max_ttl) {
            return Err("default_ttl and max_ttl must be greater than zero".to_owned());
        }
        if let Some(old) = &self.old_system {
            old.check().map_err(|message| format!("old_system: {message}"))?;
        }
        match (self.default_ttl, self.max_ttl) {
            (Some(usual), Some(most)) if usual.0 > most.0 => {
                Err("default_ttl must not be longer than max_ttl: keys with the default lifetime would be refused"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataConfig {
    pub(crate) listen: Listen,
    pub(crate) unix_mode: UnixMode,
    pub(crate) tls: Option<TlsConfig>,
    /// Gateways that are trusted to name the client's address.
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    /// The header in which they name it.
    pub(crate) client_address_header: HeaderField,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminConfig {
    pub(crate) listen: Listen,
    pub(crate) unix_mode: UnixMode,
    pub(crate) tls: Option<TlsConfig>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsConfig {
    pub(crate) listen: Listen,
    pub(crate) unix_mode: UnixMode,
    pub(crate) tls: Option<TlsConfig>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) allow_plaintext: bool,
    pub(crate) max_body: usize,
    pub(crate) max_batch_body: usize,
    /// Memory for all bodies at a time, in MiB.
    pub(crate) body_memory_mib: u32,
    pub(crate) max_head: usize,
    pub(crate) head_timeout: Span,
    pub(crate) body_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) max_connections: usize,
    pub(crate) shutdown_grace: Span,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    pub(crate) level: Level,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Text,
    Json,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            listen: Listen::loopback(8181),
            unix_mode: UnixMode::USUAL,
            tls: None,
            trusted_proxies: Vec::new(),
            client_address_header: HeaderField::X_FORWARDED_FOR,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig { listen: Listen::loopback(8182), unix_mode: UnixMode::USUAL, tls: None }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        MetricsConfig { listen: Listen::loopback(8183), unix_mode: UnixMode::USUAL, tls: None }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            allow_plaintext: false,
            max_body: 64 << 10,
            max_batch_body: 1 << 20,
            body_memory_mib: 64,
            max_head: 32 << 10,
            head_timeout: Span::seconds(60),
            body_timeout: Span::seconds(30),
            idle_timeout: Span::seconds(120),
            max_connections: 10_000,
            shutdown_grace: Span::seconds(30),
        }
    }
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

impl Default for FeedConfig {
    fn default() -> Self {
        FeedConfig { signing_key: None, valid_for: Span::seconds(60) }
    }
}

impl Default for LastUsedConfig {
    fn default() -> Self {
        LastUsedConfig { flush_interval: Span::seconds(60), max_ids: 1_000_000 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: Level::Info, format: LogFormat::Auto }
    }
}

impl Default for RotationConfig {
    fn default() -> Self {
        RotationConfig {
            automatic: false,
            every: Span::seconds(90 * 86_400),
            sources: Vec::new(),
            suite: Suite::default(),
        }
    }
}
