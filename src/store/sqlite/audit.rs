//! The audit's table.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::json;

use super::{audit_numbering::NEXT, columns};
use crate::store::{AuditEntry, AuditRecord, StoreError, rows::damaged};

/// Appends a record under the next number.
pub(super) fn append(connection: &Connection, record: &AuditRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO audit (seq, at, actor, address, action, target, detail) VALUES ({NEXT}, ?1, ?2, ?3, ?4, ?5, ?6)"
        ))?
        .execute(params![
            record.at.as_second(),
            record.actor,
            record.address,
            record.action,
            record.target,
            record.detail.to_string(),
        ])?;
    Ok(())
}

/// The records with higher numbers than `seq`.
pub(super) fn after(connection: &Connection, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, at, actor, address, action, target, detail FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = query.query(params![i64::try_from(seq).unwrap_or(i64::MAX), limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        // A record that was changed is shown as far as it is readable, and hides no other.
        let mut whole = true;
        let mut text = |column: usize| {
            let text = columns::readable_text(row, column)?;
            whole &= columns::text(row, column).is_some();
            Some(text.into_owned())
        };
        let (actor, address) = (text(2).unwrap_or_default(), text(3));
        let (action, target) = (text(4).unwrap_or_default(), text(5));
        let detail = columns::text(row, 6).and_then(|detail| serde_json::from_str(detail).ok()).filter(|_| whole);
        let read = Timestamp::from_second(at).ok().zip(detail);
        let (at, detail) = read.unwrap_or_else(|| {
            tracing::error!("{}", damaged("the audit", seq));
            (Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH), json!({"damaged": true}))
        });
        let record = AuditRecord { at, actor, address, action, target, detail };
        entries.push(AuditEntry { seq: seq.unsigned_abs(), record });
    }
    Ok(entries)
}
