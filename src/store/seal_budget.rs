//! The seal budget: how many API keys a realm may seal under one key version.
//!
//! Each store counts when it records a key (`sqlite/seal_counts.rs`, `postgres/seal_counts.rs`), in the same
//! transaction.

use bulla::{Realm, keyring::Suite};

use super::{StoreError, rows::damaged};
use crate::input::text;

const TABLE: &str = "the seal counts";

/// Characters of a damaged row's realm that are shown.
const SHOWN: usize = 64;

/// How many keys one realm may seal under one key version of suite 1: SP 800-38D section 8.3 allows 2^32 random nonces.
const LIMIT: u64 = 1 << 32;

/// How many API keys a realm has sealed under a key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealCount {
    pub(crate) realm: String,
    pub(crate) version: u32,
    pub(crate) count: u64,
}

/// The counts of all realms and versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SealCounts {
    pub(crate) counts: Vec<SealCount>,
    /// How many rows could not be read. The others count.
    pub(crate) damaged: usize,
}

impl SealCounts {
    /// Takes in a row as it is stored; `realm` is `None` where it is no text.
    pub(super) fn add(&mut self, realm: Option<&str>, version: i64, count: i64) {
        match (realm, u32::try_from(version), u64::try_from(count)) {
            (Some(realm), Ok(version), Ok(count)) => {
                self.counts.push(SealCount { realm: realm.to_owned(), version, count });
            }
            _ => {
                let realm: String = text::shown(realm.unwrap_or("?")).chars().take(SHOWN).collect();
                tracing::error!("{}", damaged(TABLE, format_args!("({realm}, {version})")));
                self.damaged += 1;
            }
        }
    }
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

/// Refuses a key over budget, or whose count is damaged. `count` already includes it; the transaction that counted it
/// is aborted.
pub(super) fn check_seal_budget(realm: Realm, version: u32, count: i64, budget: Option<u64>) -> Result<(), StoreError> {
    let Some(budget) = budget else { return Ok(()) };
    match u64::try_from(count) {
        Ok(count) if count > budget => Err(StoreError::BudgetSpent { realm, version, count: count - 1, budget }),
        Ok(_) => Ok(()),
        Err(_) => Err(damaged(TABLE, format_args!("({realm}, {version})"))),
    }
}
