//! The audit: who did what, when and from where.

use jiff::Timestamp;
use serde_json::Value;

/// The record of one action.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuditRecord {
    pub(crate) at: Timestamp,
    /// An API-key id, `cli:` with the user's name, or `service`.
    pub(crate) actor: String,
    /// The address that the actor called from, where it was over a network.
    pub(crate) address: Option<String>,
    pub(crate) action: String,
    /// The target: an API-key id, an app, a realm, a key version.
    pub(crate) target: Option<String>,
    /// A JSON object with the rest.
    pub(crate) detail: Value,
}

/// One action on record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuditEntry {
    /// Its number, without gaps: `sqlite/audit_numbering.rs` and `postgres/audit_numbering.rs`.
    pub(crate) seq: u64,
    pub(crate) record: AuditRecord,
}
