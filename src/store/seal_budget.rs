//! The seal budget: how many API keys a realm may seal under one key version.
//!
//! Each store counts when it records a key (`sqlite/seal_counts.rs`, `postgres/seal_counts.rs`), in the same
//! transaction.

use bulla::{Realm, keyring::Suite};

use super::StoreError;

/// How many keys one realm may seal under one key version of suite 1: SP 800-38D section 8.3 allows 2^32 random nonces.
const LIMIT: u64 = 1 << 32;

/// How many API keys a realm has sealed under a key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealCount {
    pub(crate) realm: String,
    pub(crate) version: u32,
    pub(crate) count: u64,
}

/// How many keys a realm may seal under one key version: the last tenth of the limit is left as a margin. Suite 2 has
/// no budget.
pub(crate) fn seal_budget(suite: Option<Suite>) -> Option<u64> {
    (suite == Some(Suite::Aes256Gcm)).then_some(LIMIT / 10 * 9)
}

/// The number of sealed keys from which on administrators are warned to plan the next rotation.
pub(crate) fn seal_warning(suite: Option<Suite>) -> Option<u64> {
    (suite == Some(Suite::Aes256Gcm)).then_some(LIMIT / 2)
}

/// Refuses a key over budget. `count` already includes it; the transaction that counted it is aborted.
pub(super) fn check_seal_budget(realm: Realm, version: u32, count: u64, budget: Option<u64>) -> Result<(), StoreError> {
    match budget {
        Some(budget) if count > budget => Err(StoreError::BudgetSpent { realm, version, count: count - 1, budget }),
        _ => Ok(()),
    }
}
