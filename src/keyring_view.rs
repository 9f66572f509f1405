//! The keyring as it is shown: on the command line with `--json`, and over the admin plane.

use bulla::{KeyringDocument, State, Suite, VersionRecord};
use jiff::Timestamp;
use serde::Serialize;

/// A keyring without its wrapped keys.
#[derive(Debug, Serialize)]
pub(crate) struct KeyringView {
    keyring_id: String,
    serial: u64,
    active: Option<u32>,
    pub(crate) versions: Vec<VersionView>,
}

/// One version on record.
#[derive(Debug, Serialize)]
pub(crate) struct VersionView {
    pub(crate) version: u32,
    pub(crate) state: State,
    pub(crate) suite: Suite,
    pub(crate) created_at: Timestamp,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) seal_until: Option<Timestamp>,
    pub(crate) verify_until: Option<Timestamp>,
    pub(crate) key_check_value: String,
    pub(crate) sources: Vec<String>,
}

impl KeyringView {
    pub(crate) fn new(document: &KeyringDocument) -> Self {
        KeyringView {
            keyring_id: document.id().to_string(),
            serial: document.serial(),
            active: document.active().map(|record| record.number.number()),
            versions: document.versions().iter().map(VersionView::new).collect(),
        }
    }
}

impl VersionView {
    fn new(record: &VersionRecord) -> Self {
        VersionView {
            version: record.number.number(),
            state: record.state,
            suite: record.suite,
            created_at: record.created_at,
            activated_at: record.activated_at,
            seal_until: record.seal_until,
            verify_until: record.verify_until,
            key_check_value: record.key_check_value.to_string(),
            sources: record.sources.iter().map(|source| source.uri.to_string()).collect(),
        }
    }
}
