//! The error of every store.

use bulla::Realm;
use jiff::Timestamp;

/// The store failed and changed nothing. Only after [`StoreError::Uncertain`] that is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{0}")]
    Url(String),
    #[error(
        "the store {0} does not exist: put it back from the backup (docs/RECOVERY.md, \"A restored backup\"); only a new \
         deployment, which has issued and revoked nothing, begins with an empty one: `install -m 600 /dev/null {0}`"
    )]
    Missing(String),
    #[error("cannot open the store {0}: permission denied; run this as the user who owns it")]
    Denied(String),
    #[error(
        "{0} has no schema `bulla`: name the right database, or restore it from the backup (docs/RECOVERY.md); only a new \
         deployment begins with an empty one: `bulla init` makes it, or `CREATE SCHEMA bulla`"
    )]
    NoSchema(String),
    #[error("the store {0} was written by a newer bulla (schema {1}): use that one")]
    Newer(String, i64),
    #[error(
        "the store {store} moved to {to} at {at} (`bulla store copy`), and nobody works on it any more: set store.url to the \
         URL of that one. Only if that copy is abandoned, `bulla store unmark` takes this one into use again: what was done in \
         the copy is not in it"
    )]
    Moved { store: String, to: String, at: Timestamp },
    #[error("an API key of this id is on record already")]
    Duplicate,
    #[error(
        "the realm {realm} has sealed {count} API keys under version {version}, and its budget is {budget}: activate the next version"
    )]
    BudgetSpent { realm: Realm, version: u32, count: u64, budget: u64 },
    #[error("the store failed: {0}")]
    Failed(String),
    /// The commit was sent, and its answer did not come, or did not say that the change is durable.
    #[error(
        "this may have happened: {0}. Repeat the request, with its Idempotency-Key where it had one: it is not done twice. \
         Without a key, look into the ledger first (`bulla keys list`)"
    )]
    Uncertain(String),
    /// One row, by its number or key, of a table is damaged. The others can be read.
    #[error("row {1} of {0} is damaged: restore the store from a backup")]
    Damaged(&'static str, String),
    /// Another process, or an administrator, exchanged the store while it was open.
    #[error("the store was exchanged: {0}")]
    Exchanged(String),
    /// The work of the transaction aborted it.
    #[error("the transaction was aborted")]
    Aborted,
}
