//! Hashes of secret halves.

use bulla::ApiKeyId;
use jiff::Timestamp;

/// A stored hash of one key's secret half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretRow {
    /// Its number; a row is never changed into another hash under the same one.
    pub(crate) seq: u64,
    pub(crate) phc: String,
    pub(crate) binding: String,
    /// Authenticates the row: bulla wrote it.
    pub(crate) mac: String,
    /// When it stops being accepted.
    pub(crate) retires_at: Option<Timestamp>,
}

/// A hash to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewSecretRow {
    pub(crate) id: ApiKeyId,
    pub(crate) phc: String,
    pub(crate) binding: String,
    pub(crate) mac: String,
    pub(crate) created_at: Timestamp,
    pub(crate) retires_at: Option<Timestamp>,
}

/// Some of the stored hashes, in the order of their numbers, for an integrity check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretSample {
    pub(crate) rows: Vec<(ApiKeyId, SecretRow)>,
    /// The numbers of rows that cannot be read.
    pub(crate) damaged: Vec<u64>,
    /// The number behind which to go on; `None` at the end.
    pub(crate) next: Option<u64>,
}

/// Keys whose secret halves changed, up to `end`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretChanges {
    pub(crate) changed: Vec<(u64, ApiKeyId)>,
    pub(crate) end: u64,
}
