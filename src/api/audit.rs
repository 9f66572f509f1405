//! The audit as it is shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{query, schema};
use crate::store::{AuditEntry, Store, StoreError};

/// Which page is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// The number behind which the page begins; 0 by default.
    #[param(value_type = Option<schema::Seq>)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) after: Option<u64>,
    /// The most records of the page; 100 by default.
    #[param(value_type = Option<schema::PageSize>)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) limit: Option<u32>,
}

/// Some of the audit, and where more begins.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditPage {
    pub(crate) records: Vec<AuditRecordView>,
    /// For the next page, as `after`; null at the end.
    #[schema(required)]
    pub(crate) next_after: Option<u64>,
}

/// One action on record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditRecordView {
    /// Its number; there are no gaps.
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    /// An API-key id, `cli:` with the user's name, `cert:` with a client certificate's name, or `service`.
    pub(crate) actor: String,
    /// The address that the actor called from, where it was over a network.
    #[schema(required)]
    pub(crate) address: Option<String>,
    pub(crate) action: String,
    /// What was acted on: an API-key id, an app, a realm, a key version.
    #[schema(required)]
    pub(crate) target: Option<String>,
    /// A JSON object with the rest.
    #[schema(value_type = Object)]
    pub(crate) detail: Value,
}

impl AuditPage {
    /// The records behind `after`, up to `limit` of them.
    pub(crate) fn read(store: &dyn Store, after: u64, limit: u32) -> Result<Self, StoreError> {
        let mut entries = store.audit_after(after, limit + 1)?;
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        let next_after = entries.last().filter(|_| more).map(|entry| entry.seq);
        Ok(AuditPage { records: entries.into_iter().map(AuditRecordView::from).collect(), next_after })
    }
}

impl From<AuditEntry> for AuditRecordView {
    fn from(AuditEntry { seq, record }: AuditEntry) -> Self {
        AuditRecordView {
            seq,
            at: record.at,
            actor: record.actor,
            address: record.address,
            action: record.action,
            target: record.target,
            detail: record.detail,
        }
    }
}
