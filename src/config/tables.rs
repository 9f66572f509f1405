//! The tables of `bulla.toml` and their defaults. `default.toml` shows them all; a test holds the two together.

use bulla::{SourceUri, Suite};
use serde::Deserialize;

use super::{Listen, Span};

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

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreConfig {
    pub(crate) url: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyConfig {
    #[serde(default)]
    pub(crate) default_realms: Vec<String>,
}

/// The policy of one realm.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RealmConfig {}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataConfig {
    pub(crate) listen: Listen,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminConfig {
    pub(crate) listen: Listen,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsConfig {
    pub(crate) listen: Listen,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) allow_plaintext: bool,
    pub(crate) max_body: usize,
    pub(crate) max_batch_body: usize,
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
        DataConfig { listen: Listen::loopback(8181) }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig { listen: Listen::loopback(8182) }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        MetricsConfig { listen: Listen::loopback(8183) }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            allow_plaintext: false,
            max_body: 64 << 10,
            max_batch_body: 1 << 20,
            max_head: 32 << 10,
            head_timeout: Span::seconds(60),
            body_timeout: Span::seconds(30),
            idle_timeout: Span::seconds(120),
            max_connections: 10_000,
            shutdown_grace: Span::seconds(30),
        }
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
