//! What a log of revocations holds.

use super::Change;

/// One entry of a log of revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationEvent {
    /// Its place in the log: 1 and up, and strictly increasing. Gaps are normal.
    pub seq: u64,
    /// What changes.
    pub change: Change,
    /// When it takes effect, in Unix seconds by the reader's clock; `None` is at once. Only
    /// `Change::Revoke` can wait; everything else takes effect at once whatever stands here.
    pub effective_at: Option<u32>,
}

impl RevocationEvent {
    /// A change that takes effect at once.
    pub const fn at_once(seq: u64, change: Change) -> Self {
        RevocationEvent { seq, change, effective_at: None }
    }
}
