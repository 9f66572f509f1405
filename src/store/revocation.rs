//! What goes into the log of revocations; what comes out of it is the library's `RevocationEvent`.

use bulla::Change;
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
