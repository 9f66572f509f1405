//! A configuration of the filter: a `google.protobuf.Struct`, which Envoy hands over as JSON.

use std::{path::PathBuf, sync::Arc};

use bulla::gateway::Answer;
use serde::Deserialize;

use crate::{
    abi::{self, EnvoyConfig},
    gates::{self, Opened},
    metrics::{Metrics, Ticker},
};

/// What stands in Envoy's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The settings file, with the keys and the feed.
    settings: PathBuf,
    /// What the dynamic metadata `bulla` says about accepted keys.
    #[serde(default)]
    metadata: Vec<Name>,
    /// Whether the application gets the header with the key.
    #[serde(default)]
    keep_credential: bool,
}

/// What can be said about a key.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    AppId,
    ApiKeyId,
    Realm,
    Scopes,
    Meta,
    Limit,
}

/// What is said. Each text takes Envoy a third of a microsecond, and everything five.
pub(crate) enum Metadata {
    None,
    Texts(Vec<Name>),
    All,
}

impl Name {
    /// Its key in the metadata.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Name::AppId => "app_id",
            Name::ApiKeyId => "api_key_id",
            Name::Realm => "realm",
            Name::Scopes => "scopes",
            Name::Meta => "meta",
            Name::Limit => "limit",
        }
    }

    /// The value, where that is a text.
    pub(crate) fn of(self, answer: &Answer) -> &str {
        match self {
            Name::AppId => answer.app_id(),
            Name::ApiKeyId => answer.api_key_id(),
            Name::Realm => answer.realm(),
            Name::Scopes | Name::Meta | Name::Limit => "",
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Name::AppId | Name::ApiKeyId | Name::Realm)
    }
}

impl Metadata {
    fn new(mut names: Vec<Name>) -> Result<Self, String> {
        if names.iter().all(|name| name.is_text()) {
            names.dedup();
            return Ok(if names.is_empty() { Metadata::None } else { Metadata::Texts(names) });
        }
        if abi::is_envoy_1_39() {
            return Err("`metadata` has `scopes`, `meta` or `limit`, which need Envoy 1.40: leave them out".to_owned());
        }
        Ok(Metadata::All)
    }
}

/// A configuration, for as long as Envoy has it.
pub(crate) struct Config {
    pub(crate) opened: Arc<Opened>,
    pub(crate) metadata: Metadata,
    pub(crate) keep_credential: bool,
    metrics: Option<Metrics>,
    _ticker: Option<Ticker>,
}

impl Config {
    /// Opens the verifier, and starts its follower.
    pub(crate) fn new(envoy: &EnvoyConfig, text: &[u8]) -> Result<Self, String> {
        let text: Text = serde_json::from_slice(text)
            .map_err(|error| format!("filter_config is not a google.protobuf.Struct as it has to be: {error}"))?;
        let metadata = Metadata::new(text.metadata)?;
        let opened = gates::open(&text.settings)?;
        let metrics = Metrics::define(envoy);
        let ticks = metrics.is_some() && !abi::is_validation();
        let ticker = envoy.scheduler().filter(|_| ticks).and_then(Ticker::start);
        Ok(Config { opened, metadata, keep_credential: text.keep_credential, metrics, _ticker: ticker })
    }

    /// Tells Envoy's metrics what is new.
    pub(crate) fn export(&self, envoy: &EnvoyConfig) {
        if let Some(metrics) = &self.metrics {
            metrics.export(envoy, &self.opened);
        }
    }
}
