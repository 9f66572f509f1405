//! The audit as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{AuditEntry, Store, StoreError};

/// Records of a page unless it is said otherwise, and at most.
pub(crate) const PAGE: u32 = 100;
pub(crate) const LONGEST_PAGE: u32 = 1_000;

/// Some of the audit, and where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    pub(crate) records: Vec<AuditEntry>,
    /// Gives the next page as `after`; none at the end.
    #[schema(required)]
    pub(crate) next_after: Option<u64>,
}

impl AuditPage {
    /// The records behind `after`, up to `limit` of them.
    pub(crate) fn read(store: &dyn Store, after: u64, limit: u32) -> Result<Self, StoreError> {
        let mut records = store.audit_after(after, limit + 1)?;
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next_after = records.last().filter(|_| more).map(|entry| entry.seq);
        Ok(AuditPage { records, next_after })
    }
}
