//! The audit's table.

use jiff::Timestamp;
use serde_json::json;

use super::{
    params::{Param, param, params},
    session::Session,
};
use crate::store::{AuditEntry, AuditRecord, StoreError, rows::damaged};

/// Records as columns.
pub(super) struct Columns<'a> {
    at: Vec<i64>,
    actor: Vec<&'a str>,
    address: Vec<Option<&'a str>>,
    action: Vec<&'a str>,
    target: Vec<Option<&'a str>>,
    detail: Vec<String>,
}

impl<'a> Columns<'a> {
    /// The columns of these records.
    pub(super) fn of(records: &'a [AuditRecord]) -> Self {
        Columns {
            at: records.iter().map(|record| record.at.as_second()).collect(),
            actor: records.iter().map(|record| record.actor.as_str()).collect(),
            address: records.iter().map(|record| record.address.as_deref()).collect(),
            action: records.iter().map(|record| record.action.as_str()).collect(),
            target: records.iter().map(|record| record.target.as_deref()).collect(),
            detail: records.iter().map(|record| record.detail.to_string()).collect(),
        }
    }

    /// The parameters of [`APPEND`](super::audit_numbering::APPEND).
    pub(super) fn params(&self) -> [Param<'_>; 6] {
        [
            param(&self.at),
            param(&self.actor),
            param(&self.address),
            param(&self.action),
            param(&self.target),
            param(&self.detail),
        ]
    }
}

/// The records with higher numbers than `seq`.
pub(super) fn after(session: &Session, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
    let rows = session.query(
        "SELECT seq, at, actor, address, action, target, detail FROM bulla.audit WHERE seq > $1 ORDER BY seq LIMIT $2",
        &params![i64::try_from(seq).unwrap_or(i64::MAX), i64::from(limit)],
    )?;
    let entries = rows.iter().map(|row| {
        let (seq, at, detail): (i64, i64, &str) = (row.get(0), row.get(1), row.get(6));
        // A record that was changed is shown as far as it is readable, and hides no other.
        let read = Timestamp::from_second(at).ok().zip(serde_json::from_str(detail).ok());
        let (at, detail) = read.unwrap_or_else(|| {
            tracing::error!("{}", damaged("the audit", seq));
            (Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH), json!({"damaged": true}))
        });
        let record =
            AuditRecord { at, actor: row.get(2), address: row.get(3), action: row.get(4), target: row.get(5), detail };
        AuditEntry { seq: seq.unsigned_abs(), record }
    });
    Ok(entries.collect())
}
