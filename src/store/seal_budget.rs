//! The seal budget: how many API keys a realm may seal under one key version, and how many it has.
//!
//! The store counts when it records a key (`sqlite/seal_budget.rs`), and refuses the key that would exceed the budget.

use bulla::keyring::Suite;

/// How many keys one realm may seal under one key version of suite 1: SP 800-38D section 8.3 allows 2^32 random nonces.
const LIMIT: u64 = 1 << 32;

/// How many API keys a realm has sealed under a key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealCount {
    pub(crate) realm: String,
    pub(crate) version: u32,
    pub(crate) count: u64,
}

/// How many keys a realm may seal under one key version: the last tenth of the limit is left as a margin. Suite 2 has no
/// budget.
pub(crate) fn seal_budget(suite: Option<Suite>) -> Option<u64> {
    (suite == Some(Suite::Aes256Gcm)).then_some(LIMIT / 10 * 9)
}

/// The number of sealed keys from which on administrators are told to plan the next rotation.
pub(crate) fn seal_warning(suite: Option<Suite>) -> Option<u64> {
    (suite == Some(Suite::Aes256Gcm)).then_some(LIMIT / 2)
}
