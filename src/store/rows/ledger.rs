//! A row of the ledger.

use jiff::Timestamp;

use super::damaged;
use crate::store::{LedgerEntry, LedgerRow, StoreError, ledger::Restrictions};

/// The columns of a key, as the store has them. Times are in Unix seconds.
pub(in crate::store) struct LedgerColumns {
    pub(in crate::store) place: i64,
    pub(in crate::store) id: Option<String>,
    pub(in crate::store) app_id: Option<String>,
    pub(in crate::store) name: Option<String>,
    pub(in crate::store) issued_at: Option<i64>,
    pub(in crate::store) expires_at: Option<i64>,
    /// Joined by spaces.
    pub(in crate::store) scopes: Option<String>,
    /// JSON arrays.
    pub(in crate::store) audience: Option<String>,
    pub(in crate::store) cidr: Option<String>,
    /// A JSON object.
    pub(in crate::store) meta: Option<String>,
    pub(in crate::store) issued_by: String,
    pub(in crate::store) rerolled_from: Option<String>,
    pub(in crate::store) revoked_at: Option<i64>,
    pub(in crate::store) revoke_reason: Option<String>,
    pub(in crate::store) suspended_at: Option<i64>,
    pub(in crate::store) last_used_at: Option<i64>,
    pub(in crate::store) use_count: i64,
    /// Of the rules about it; 0 without one.
    pub(in crate::store) issued_before: i64,
    pub(in crate::store) revoked_by_log: bool,
}

impl LedgerColumns {
    /// The key; an error where bulla did not write the row.
    pub(in crate::store) fn entry(self) -> Result<LedgerEntry, StoreError> {
        let place = self.place;
        self.parse().ok_or_else(|| damaged("the ledger", place))
    }

    fn parse(self) -> Option<LedgerEntry> {
        let at = |seconds: Option<i64>| seconds.map(Timestamp::from_second).transpose().ok();
        let list = |json: Option<String>| json.map(|json| serde_json::from_str(&json)).transpose().ok();
        let restrictions = match (list(self.audience)?, list(self.cidr)?) {
            (Some(audience), Some(cidr)) => Some(Restrictions { audience, cidr }),
            _ => None,
        };
        let row = LedgerRow {
            id: self.id?.parse().ok()?,
            app_id: self.app_id?.parse().ok()?,
            name: self.name,
            issued_at: at(self.issued_at)??,
            expires_at: at(self.expires_at)?,
            scopes: self.scopes?.split_whitespace().map(str::to_owned).collect(),
            restrictions,
            meta: serde_json::from_str(&self.meta?).ok()?,
            issued_by: self.issued_by,
            rerolled_from: self.rerolled_from.map(|id| id.parse()).transpose().ok()?,
        };
        Some(LedgerEntry {
            place: self.place,
            row,
            revoked_at: at(self.revoked_at)?,
            revoke_reason: self.revoke_reason,
            revoked_by_log: self.revoked_by_log,
            suspended_at: at(self.suspended_at)?,
            issued_before: at((self.issued_before > 0).then_some(self.issued_before))?,
            last_used_at: at(self.last_used_at)?,
            use_count: self.use_count.unsigned_abs(),
        })
    }
}
