//! The store: the ledger of issued API keys, off the verify path. It never holds an API key.

mod sqlite;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use bulla::{ApiKeyId, KeyringId, KeyringMemory, Realm};
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
    #[error(
        "the realm {realm} has sealed {count} API keys under version {version}, and its budget is {budget}: activate the next version"
    )]
    BudgetSpent { realm: Realm, version: u32, count: u64, budget: u64 },
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Which rows of the ledger are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerFilter {
    pub(crate) realm: Option<Realm>,
    pub(crate) app_id: Option<Uuid>,
    /// The place behind which to go on; 0 for the beginning.
    pub(crate) after: i64,
    /// At most so many rows.
    pub(crate) limit: u32,
}

/// How many API keys a realm has sealed under a key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealCount {
    pub(crate) realm: String,
    pub(crate) version: u32,
    pub(crate) count: u64,
}

/// What every store does.
pub(crate) trait Store: Send + Sync {
    /// Records issued keys, all or none; durable when it returns. Fails when a realm and version would go over `budget`.
    fn record(&self, rows: &[LedgerRow], budget: Option<u64>) -> Result<(), StoreError>;

    /// The number of keys on record.
    fn count(&self) -> Result<u64, StoreError>;

    /// Rows of the ledger, each with its place, in the order of their places.
    fn list(&self, filter: &LedgerFilter) -> Result<Vec<(i64, LedgerRow)>, StoreError>;

    /// The row of one key.
    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerRow>, StoreError>;

    /// How many keys were sealed, for each realm and version.
    fn seal_counts(&self) -> Result<Vec<SealCount>, StoreError>;

    /// What is remembered of each keyring.
    fn keyring_memories(&self) -> Result<HashMap<KeyringId, KeyringMemory>, StoreError>;

    /// Remembers more of a keyring; nothing is ever forgotten.
    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError>;
}

/// Opens the store that `url` names, relative to `folder`. It must exist unless `create`.
pub(crate) fn open(url: &str, folder: &Path, create: bool) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::SqliteStore::open(&folder.join(path), create)?)),
        _ => Err(StoreError::Url(url.to_owned())),
    }
}
