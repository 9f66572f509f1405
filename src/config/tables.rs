//! The smaller tables of `bulla.toml` and their defaults. The larger ones have files of their own beside this one.
//! `default.toml` shows them all; a test compares the two.

use std::collections::BTreeMap;

use bulla::{keyring::Suite, source::SourceUri};
use serde::Deserialize;

use super::{HeaderField, Listen, Span, TlsConfig, TrustedProxy, UnixMode};

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

/// The revocation feed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FeedConfig {
    /// The seed of the key that signs it; without one there is no feed.
    pub(crate) signing_key: Option<SourceUri>,
    /// How long a message is valid.
    pub(crate) valid_for: Span,
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

/// Imported keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImportedConfig {
    /// Secrets of old systems, by the names that imports use.
    #[serde(alias = "hmac_keys")]
    pub(crate) secrets: BTreeMap<String, SourceUri>,
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
