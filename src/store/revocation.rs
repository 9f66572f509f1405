//! What goes into the log of revocations; what comes out of it is the library's `RevocationEvent`.

use bulla::{Change, RevocationEvent};
use jiff::Timestamp;

/// A revocation to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct NewRevocation {
    pub(crate) change: Change,
    /// When it takes effect.
    pub(crate) effective_at: Timestamp,
    pub(crate) reason: Option<String>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) recorded_by: String,
}

/// A part of the log, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogPart {
    /// The random id of the log, in hex.
    pub(crate) log_id: String,
    pub(crate) events: Vec<RevocationEvent>,
    /// Everything that was recorded up to here and still says something is in `events`.
    pub(crate) through: u64,
    /// The latest number of all.
    pub(crate) end: u64,
}
