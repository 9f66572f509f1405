//! What goes into the log of revocations; what comes out of it is the library's `RevocationEvent`.

use bulla::{ApiKeyId, Change, RevocationEvent};
use jiff::Timestamp;
use uuid::Uuid;

use crate::key_time::KeyTime;

/// A revocation to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct NewRevocation {
    pub(crate) change: Change,
    /// When it takes effect; `None` is at once, whatever the clock says.
    pub(crate) effective_at: Option<KeyTime>,
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
    /// Rows that bulla did not write, or that somebody changed.
    pub(crate) damaged: Vec<DamagedRow>,
    /// Everything that was recorded up to here and still says something is in `events`.
    pub(crate) through: u64,
    /// The latest number of all.
    pub(crate) end: u64,
}

/// A row of the log that cannot be read whole. What it names is rejected: an event says so, where it names anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DamagedRow {
    pub(crate) seq: u64,
    /// What of it cannot be read, and what is rejected for that.
    pub(crate) what: String,
}

/// What the log says of one id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// When its revocation takes effect, where the log has one that can be read.
    pub(crate) revoked_at: Option<Timestamp>,
    /// Whether it is rejected whatever the clock says.
    pub(crate) in_effect: bool,
    /// Since when it is suspended.
    pub(crate) suspended_at: Option<Timestamp>,
}

/// A page of the ledger's revoked and suspended keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RevokedPage {
    /// Those of which the log lost a revocation or a suspension, or all where the log was not asked.
    pub(crate) lost: Vec<LostRevocation>,
    /// The place in the ledger behind which to go on; `None` at the end.
    pub(crate) next: Option<i64>,
}

/// A key that the ledger calls revoked or suspended, where the log lost one of the two at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostRevocation {
    pub(crate) id: ApiKeyId,
    pub(crate) app_id: Uuid,
    /// In Unix seconds.
    pub(crate) issued_at: u32,
    pub(crate) expires_at: Option<Timestamp>,
    /// When the key was, or is to be, revoked; `None` where it is only suspended.
    pub(crate) revoked_at: Option<Timestamp>,
    /// Since when it is suspended, which it may be in the grace period before it is revoked.
    pub(crate) suspended_at: Option<Timestamp>,
    pub(crate) reason: Option<String>,
}
