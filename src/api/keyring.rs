//! The keyring: as it is shown, and the bodies of its changes.

use std::collections::BTreeMap;

use bulla::{
    feed::VerifyingKey,
    keyring::{KeyVersion, KeyringDocument, Suite, VersionRecord, VersionState},
    source::SourceUri,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    propagation::{Propagates, Propagation},
    query::{self, Parameter},
    schema,
};
use crate::{
    clock,
    store::{SealCount, Store, StoreError, seal_budget},
};

/// A keyring without its wrapped keys.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeyringView {
    pub(crate) keyring_id: String,
    pub(crate) serial: u64,
    #[schema(required)]
    pub(crate) active: Option<u32>,
    /// The public key of the revocation feed, in base64; null without a feed.
    #[schema(required)]
    pub(crate) feed_public_key: Option<String>,
    pub(crate) versions: Vec<VersionView>,
}

/// One version on record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VersionView {
    pub(crate) version: u32,
    #[schema(value_type = schema::KeyVersionState)]
    pub(crate) state: VersionState,
    #[schema(value_type = schema::Suite)]
    pub(crate) suite: Suite,
    pub(crate) created_at: Timestamp,
    #[schema(required)]
    pub(crate) activated_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) seal_until: Option<Timestamp>,
    #[schema(required)]
    pub(crate) verify_until: Option<Timestamp>,
    pub(crate) key_check_value: String,
    pub(crate) sources: Vec<String>,
    /// API keys sealed under it, by realm.
    pub(crate) sealed: BTreeMap<String, u64>,
    /// How many each realm may seal, where the suite has a limit.
    #[schema(required)]
    pub(crate) seal_budget: Option<u64>,
    /// How many API keys on record end with it, where the request asks for `count=active`.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active_api_keys: Option<ActiveKeys>,
}

/// Active API keys of a version.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ActiveKeys {
    pub(crate) all: u64,
    /// The administrators' among them.
    pub(crate) administrators: u64,
}

/// What is shown beside the keyring.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyringQuery {
    /// Counts the API keys that end with each version, too.
    #[param(value_type = Option<schema::Counted>)]
    #[serde(default, deserialize_with = "query::unless_empty")]
    pub(crate) count: Option<Counted>,
}

/// What is counted.
pub(crate) enum Counted {
    /// Active API keys.
    Active,
}

impl Parameter for Counted {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "active" { Ok(Counted::Active) } else { Err("must be `active`".to_owned()) }
    }
}

/// A new version, which every verifier opens with before anything is sealed with it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    /// URIs of key sources that hold the same master key; the first that answers counts.
    #[schema(value_type = Vec<String>, min_items = 1)]
    pub(crate) sources: Vec<SourceUri>,
    #[schema(value_type = schema::Suite)]
    #[serde(default)]
    pub(crate) suite: Suite,
}

/// How a version is activated.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Activate {
    /// Go back to a deactivated version.
    pub(crate) rollback: bool,
    /// Refuses while a registered node or follower reports that it has not loaded the version. It cancels `force`.
    pub(crate) require_loaded: bool,
    /// Activate a version that some verifiers may not have yet: they reject its keys until they do.
    pub(crate) force: bool,
}

/// How a version is marked as compromised.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Compromise {
    /// Becomes the active version, where the active version is compromised. Without a successor issuing stops.
    #[schema(value_type = Option<schema::KeyVersion>)]
    pub(crate) successor: Option<KeyVersion>,
}

/// An object without fields.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The outcome of a change.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    #[schema(value_type = schema::KeyVersion)]
    pub(crate) version: KeyVersion,
    #[schema(value_type = schema::KeyVersionState)]
    pub(crate) state: VersionState,
    pub(crate) serial: u64,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
    /// Who knows this keyring, where the request waited for that.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) propagation: Option<Propagation>,
}

impl Propagates for Changed {
    fn set_propagation(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }
}

impl Changed {
    /// Adds what failed after the change was made.
    pub(crate) fn warn(&mut self, errors: Vec<String>) {
        let all: Vec<String> = self.warning.take().into_iter().chain(errors).collect();
        self.warning = (!all.is_empty()).then(|| all.join("; "));
    }
}

impl KeyringView {
    pub(crate) fn new(document: &KeyringDocument, counts: &[SealCount], feed: Option<VerifyingKey>) -> Self {
        KeyringView {
            keyring_id: document.id().to_string(),
            serial: document.serial(),
            active: document.active().map(|record| record.number.number()),
            feed_public_key: feed.map(|key| key.to_string()),
            versions: document.versions().iter().map(|record| VersionView::new(record, counts)).collect(),
        }
    }

    /// The same with how many keys on record are active at `now`.
    pub(crate) fn counting(mut self, store: &dyn Store, now: Timestamp) -> Result<Self, StoreError> {
        let counts = store.active_counts(now)?;
        for version in &mut self.versions {
            let count = counts.iter().find(|count| count.version == version.version);
            let (all, administrators) = count.map_or((0, 0), |count| (count.all, count.administrators));
            version.active_api_keys = Some(ActiveKeys { all, administrators });
        }
        Ok(self)
    }
}

impl VersionView {
    fn new(record: &VersionRecord, counts: &[SealCount]) -> Self {
        VersionView {
            version: record.number.number(),
            state: record.state,
            suite: record.suite,
            created_at: clock::timestamp(record.created_at),
            activated_at: record.activated_at.map(clock::timestamp),
            seal_until: record.seal_until.map(clock::timestamp),
            verify_until: record.verify_until.map(clock::timestamp),
            key_check_value: record.key_check_value.to_string(),
            sealed: counts
                .iter()
                .filter(|count| count.version == record.number.number())
                .map(|count| (count.realm.clone(), count.count))
                .collect(),
            seal_budget: seal_budget(Some(record.suite)),
            active_api_keys: None,
            sources: record.sources.iter().map(|source| source.uri.to_string()).collect(),
        }
    }
}
