//! The mark of a store that `bulla store copy` moved: no bulla works on it any more.

use jiff::Timestamp;

use super::StoreError;

/// Where a store moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The URL of its copy, which never holds a password.
    pub(crate) to: String,
    /// What tells the copy from every other store, whatever its URL.
    pub(super) mark: String,
    pub(crate) at: Timestamp,
}

impl Moved {
    /// The mark as it is stored, with its time in Unix seconds.
    pub(super) fn stored(to: String, mark: String, at: i64) -> Self {
        Moved { to, mark, at: Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH) }
    }

    /// The error of everybody who would work on `store`, which moved.
    pub(super) fn error(self, store: String) -> StoreError {
        StoreError::Moved { store, to: self.to, at: self.at }
    }
}
