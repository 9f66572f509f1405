//! A revoked or suspended key of the ledger, for the search of revocations that the log lost.

use bulla::ApiKeyId;
use jiff::Timestamp;

use crate::store::LostRevocation;

/// Its columns, as the store has them. Times are in Unix seconds.
pub(in crate::store) struct LostColumns<'a> {
    pub(in crate::store) id: Option<&'a str>,
    pub(in crate::store) app_id: Option<&'a str>,
    pub(in crate::store) issued_at: i64,
    pub(in crate::store) expires_at: Option<i64>,
    pub(in crate::store) revoked_at: Option<i64>,
    pub(in crate::store) reason: Option<String>,
    pub(in crate::store) suspended_at: Option<i64>,
}

impl LostColumns<'_> {
    /// The revocation. Without a readable id it names no key that could be accepted. Any other unreadable field keeps
    /// its key revoked.
    pub(in crate::store) fn revocation(self) -> Option<LostRevocation> {
        let time = |at: Option<i64>| at.map(|at| Timestamp::from_second(at).unwrap_or(Timestamp::MIN));
        Some(LostRevocation {
            id: self.id?.parse::<ApiKeyId>().ok()?,
            app_id: self.app_id.and_then(|app_id| app_id.parse().ok()).unwrap_or_default(),
            issued_at: u32::try_from(self.issued_at).unwrap_or(u32::MAX),
            expires_at: time(self.expires_at),
            revoked_at: time(self.revoked_at),
            suspended_at: time(self.suspended_at),
            reason: self.reason,
        })
    }
}
