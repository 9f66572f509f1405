//! The store: the ledger of issued API keys, off the verify path. It never holds an API key.

mod sqlite;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use uuid::Uuid;

/// One issued API key on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerRow {
    pub(crate) id: ApiKeyId,
    pub(crate) realm: Realm,
    pub(crate) app_id: Uuid,
    pub(crate) version: u32,
    pub(crate) name: Option<String>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    /// Who issued it: an API-key id, or `cli` with the user's name.
    pub(crate) issued_by: String,
}

/// The store failed. Nothing of what was asked has happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("store.url `{0}`: known stores are sqlite:PATH")]
    Url(String),
    #[error("the store {0} does not exist: `bulla init` makes one")]
    Missing(String),
    #[error("the store {0} was written by a newer bulla (schema {1}): use that one")]
    Newer(String, i64),
    #[error("an API key of this id is on record already")]
    Duplicate,
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What every store does.
pub(crate) trait Store: Send + Sync {
    /// Records issued keys, all or none; durable when it returns.
    fn record(&self, rows: &[LedgerRow]) -> Result<(), StoreError>;

    /// The number of keys on record.
    fn count(&self) -> Result<u64, StoreError>;
}

/// Opens the store that `url` names, relative to `folder`. It must exist unless `create`.
pub(crate) fn open(url: &str, folder: &Path, create: bool) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::SqliteStore::open(&folder.join(path), create)?)),
        _ => Err(StoreError::Url(url.to_owned())),
    }
}
