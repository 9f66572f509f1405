//! The ledger: the record of issued API keys.

use std::collections::BTreeMap;

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The time of issue of an imported key whose old system names none: it is older than every rule for its app or realm,
/// whether the rule was made before the import or comes later. When it was imported is in the audit.
pub(crate) const UNDATED: Timestamp = Timestamp::UNIX_EPOCH;

/// One API key as it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerRow {
    pub(crate) id: ApiKeyId,
    pub(crate) app_id: Uuid,
    pub(crate) name: Option<String>,
    /// [`UNDATED`] where that is not known.
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    pub(crate) restrictions: Option<Restrictions>,
    pub(crate) meta: BTreeMap<String, String>,
    /// The issuer: an API-key id, or `cli:` with the user's name.
    pub(crate) issued_by: String,
    /// The key that this one replaces.
    pub(crate) rerolled_from: Option<ApiKeyId>,
}

/// The restrictions in a key's claims; not on record for the oldest keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restrictions {
    pub(crate) audience: Vec<String>,
    pub(crate) cidr: Vec<String>,
}

/// One API key on record, with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    /// Its place in the order of recording.
    pub(crate) place: i64,
    pub(crate) row: LedgerRow,
    /// When its own revocation takes effect, which may lie ahead.
    pub(crate) revoked_at: Option<Timestamp>,
    pub(crate) revoke_reason: Option<String>,
    /// Whether the log has its revocation in effect, whatever the clock says.
    pub(crate) revoked_by_log: bool,
    pub(crate) suspended_at: Option<Timestamp>,
    /// A rule revokes the keys of its app or realm that were issued before this.
    pub(crate) issued_before: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) use_count: u64,
}

/// The state of a key on record. The keyring decides whether its key version still opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Active,
    Suspended,
    Revoked,
    Expired,
}

impl LedgerEntry {
    /// The key's state at `now`.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        let ruled_out = self.issued_before.is_some_and(|before| self.row.issued_at < before);
        if ruled_out || self.revoked_by_log || self.revoked_at.is_some_and(|at| at <= now) {
            State::Revoked
        } else if self.row.expires_at.is_some_and(|at| at <= now) {
            State::Expired
        } else if self.suspended_at.is_some() {
            State::Suspended
        } else {
            State::Active
        }
    }
}

impl State {
    /// Its name, as JSON has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Revoked => "revoked",
            State::Expired => "expired",
        }
    }
}

/// Selects keys on record.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerFilter {
    pub(crate) realm: Option<Realm>,
    pub(crate) app_id: Option<Uuid>,
    /// A realm to exclude.
    pub(crate) without: Option<Realm>,
    /// The place behind which to continue; 0 for the beginning.
    pub(crate) after: i64,
    /// The most rows.
    pub(crate) limit: u32,
}

/// How many active API keys on record a key version has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveCount {
    pub(crate) version: u32,
    pub(crate) all: u64,
    /// The administrators' among them.
    pub(crate) administrators: u64,
}

impl ActiveCount {
    /// The count of a version as it is stored. Where that is not a count, the rows are damaged: they stop no other count.
    pub(super) fn of(version: i64, all: u64, administrators: u64) -> Option<Self> {
        let count = u32::try_from(version).ok().map(|version| ActiveCount { version, all, administrators });
        if count.is_none() {
            tracing::error!(
                version,
                rows = all,
                "rows of the ledger are damaged, left out of the count of active keys"
            );
        }
        count
    }
}
