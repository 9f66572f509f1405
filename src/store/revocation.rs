//! Records of the revocation log; its entries are read as the library's `RevocationEvent`.

use bulla::{
    ApiKeyId,
    revocation::{Change, RevocationEvent},
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::KeyTime;

/// A revocation to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct NewRevocation {
    pub(crate) change: Change,
    /// When it takes effect; `None` for at once, whatever the clock says.
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
    /// Rows that bulla did not write, or that were changed.
    pub(crate) damaged: Vec<DamagedRow>,
    /// All entries up to this number that are not superseded are in `events`.
    pub(crate) through: u64,
    /// The latest number of the log.
    pub(crate) end: u64,
    /// The place that was asked for, as far as this log ever had it. It is before that place where the log lost its
    /// end, in a failover or a restore.
    pub(crate) kept: u64,
    /// Whether the rest of that place was lost before this log began: a follower at that place follows another log.
    pub(crate) of_earlier_log: bool,
}

impl LogPart {
    /// Returns whether the log had more before that place than it has now, and no new log began since.
    pub(crate) fn lost_before(&self, place: u64) -> bool {
        self.kept < place && place < self.end && !self.of_earlier_log
    }
}

/// The end of a log that its database lost after it was read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostEnd {
    /// The log that had it.
    pub(crate) log_id: String,
    /// How far that log was read.
    pub(crate) place: u64,
    /// What was lost, as far as it is remembered.
    pub(crate) events: Vec<RevocationEvent>,
}

/// An unreadable row of the log. The id, app or realm that it names is rejected, by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DamagedRow {
    pub(crate) seq: u64,
    /// The unreadable fields, and what is rejected because of them.
    pub(crate) what: String,
}

/// The state of one id in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// When its revocation takes effect, where the log has a readable one.
    pub(crate) revoked_at: Option<Timestamp>,
    /// Whether it is rejected, whatever the clock says.
    pub(crate) in_effect: bool,
    /// Since when it is suspended.
    pub(crate) suspended_at: Option<Timestamp>,
}

/// A page of the ledger's revoked and suspended keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RevokedPage {
    /// The keys whose revocation or suspension the log lost, or all keys of the page.
    pub(crate) lost: Vec<LostRevocation>,
    /// The place in the ledger behind which to go on; `None` at the end.
    pub(crate) next: Option<i64>,
}

/// A key that is revoked or suspended in the ledger, and of which the log lost one of the two at least.
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
