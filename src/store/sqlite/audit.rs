//! The audit's table, and the one of answers.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::damaged;
use crate::store::{Answered, AuditEntry, AuditRecord, StoreError};

/// Appends a record under the next number.
pub(super) fn append(connection: &Connection, record: &AuditRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO audit (seq, at, actor, address, action, target, detail)
             VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM audit), ?1, ?2, ?3, ?4, ?5, ?6)",
        )?
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

/// What was recorded behind `seq`.
pub(super) fn after(connection: &Connection, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, at, actor, address, action, target, detail FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = query.query(params![i64::try_from(seq).unwrap_or(i64::MAX), limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, at, detail): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(6)?);
        // A record that somebody changed is shown as far as it can be read, and hides no other.
        let read = Timestamp::from_second(at).ok().zip(serde_json::from_str(&detail).ok());
        let (at, detail) = read.unwrap_or_else(|| {
            tracing::error!("{}", damaged("the audit", seq));
            (Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH), json!({"damaged": true}))
        });
        let record = AuditRecord {
            at,
            actor: row.get(2)?,
            address: row.get(3)?,
            action: row.get(4)?,
            target: row.get(5)?,
            detail,
        };
        entries.push(AuditEntry { seq: seq.unsigned_abs(), record });
    }
    Ok(entries)
}

/// What was answered to this caller's request of this key.
pub(super) fn answered(connection: &Connection, caller: &str, key: &str) -> Result<Option<Answered>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT request, api_key_ids, at FROM idempotency WHERE caller = ?1 AND key = ?2")?;
    let row = query.query_row([caller, key], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    });
    let Some((request, ids, at)) = row.optional()? else { return Ok(None) };
    let texts: Vec<String> = serde_json::from_str(&ids).unwrap_or_default();
    let ids: Result<Vec<_>, _> = texts.iter().map(|id| id.parse()).collect();
    match (ids, Timestamp::from_second(at)) {
        (Ok(api_key_ids), Ok(at)) => Ok(Some(Answered { request, api_key_ids, at })),
        _ => Err(damaged("the answers of", at)),
    }
}

/// Remembers what is answered.
pub(super) fn remember(
    connection: &Connection,
    caller: &str,
    key: &str,
    answered: &Answered,
) -> Result<(), StoreError> {
    let ids: Vec<String> = answered.api_key_ids.iter().map(ToString::to_string).collect();
    let ids = serde_json::to_string(&ids).map_err(|error| StoreError::Failed(error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO idempotency (caller, key, request, api_key_ids, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![caller, key, answered.request, ids, answered.at.as_second()])?;
    Ok(())
}

/// Forgets old answers.
pub(super) fn sweep(connection: &Connection, before: Timestamp) -> Result<(), StoreError> {
    connection.execute("DELETE FROM idempotency WHERE at < ?1", [before.as_second()])?;
    Ok(())
}
