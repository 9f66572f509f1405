//! The keyring as it is shown: on the command line with `--json`, and over the admin plane.

use std::collections::BTreeMap;

use bulla::{KeyringDocument, State, Suite, VersionRecord, feed::VerifyingKey};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    schema,
    store::{SealCount, Store, StoreError, seal_budget},
};

/// A keyring without its wrapped keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyringView {
    keyring_id: String,
    serial: u64,
    #[schema(required)]
    active: Option<u32>,
    /// The public key of the revocation feed, in base64; none where there is no feed.
    #[schema(required)]
    feed_public_key: Option<String>,
    pub(crate) versions: Vec<VersionView>,
}

/// One version on record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    pub(crate) version: u32,
    #[schema(value_type = schema::KeyVersionState)]
    pub(crate) state: State,
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
    /// How many API keys on record die with it, where the request asks for `count=active`.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active_api_keys: Option<ActiveKeys>,
}

/// Active API keys of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActiveKeys {
    pub(crate) all: u64,
    /// The administrators' among them.
    pub(crate) administrators: u64,
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
}

impl KeyringView {
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
            created_at: record.created_at,
            activated_at: record.activated_at,
            seal_until: record.seal_until,
            verify_until: record.verify_until,
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
