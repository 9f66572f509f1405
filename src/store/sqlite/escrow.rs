//! The escrow table. A key that ends is removed from it in the same transaction.

use bulla::{ApiKeyId, revocation::Change};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    clock::KeyTime,
    store::{EscrowRow, NewRevocation, StoreError, rows::damaged},
};

/// Stores a key.
pub(super) fn insert(connection: &Connection, row: &EscrowRow) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO escrow (api_key_id, recipient, ciphertext, ending, created_at, ends_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            row.id.to_string(),
            row.recipient,
            row.ciphertext,
            row.ending,
            row.created_at.as_second(),
            row.ends_at.map(Timestamp::as_second),
        ])?;
    Ok(())
}

/// One key, unless it has ended.
pub(super) fn find(connection: &Connection, id: &ApiKeyId, now: Timestamp) -> Result<Option<EscrowRow>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT recipient, ciphertext, ending, created_at, ends_at FROM escrow
         WHERE api_key_id = ?1 AND (ends_at IS NULL OR ends_at > ?2)",
    )?;
    let row = query.query_row(params![id.to_string(), now.as_second()], |row| {
        let (created_at, ends_at): (i64, Option<i64>) = (row.get(3)?, row.get(4)?);
        let times = Timestamp::from_second(created_at).ok().zip(ends_at.map(Timestamp::from_second).transpose().ok());
        let (recipient, ciphertext, ending) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(times
            .map(|(created_at, ends_at)| EscrowRow { id: *id, recipient, ciphertext, ending, created_at, ends_at })
            .ok_or_else(|| damaged("the escrow", id)))
    });
    row.optional()?.transpose()
}

/// Stores the text that replaced the key's ending.
pub(super) fn renew(connection: &Connection, id: &ApiKeyId, ending: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE escrow SET ending = ?2 WHERE api_key_id = ?1")?
        .execute([&id.to_string(), ending])?;
    Ok(())
}

/// Ends the escrow of a key at `at`.
pub(super) fn end(connection: &Connection, id: &ApiKeyId, at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    let id = id.to_string();
    if at <= now {
        connection.prepare_cached("DELETE FROM escrow WHERE api_key_id = ?1")?.execute([id])?;
    } else {
        connection
            .prepare_cached("UPDATE escrow SET ends_at = min(coalesce(ends_at, ?2), ?2) WHERE api_key_id = ?1")?
            .execute(params![id, at.as_second()])?;
    }
    Ok(())
}

/// Ends the escrow of keys that a revocation ends.
pub(super) fn end_by(connection: &Connection, new: &NewRevocation) -> Result<(), StoreError> {
    match new.change {
        Change::Revoke { id, .. } => {
            let at = new.effective_at.map_or(new.recorded_at, KeyTime::timestamp);
            return end(connection, &id, at, new.recorded_at);
        }
        Change::RevokeApp { app_id, realm, issued_before } => connection
            .prepare_cached(
                "DELETE FROM escrow WHERE api_key_id IN (SELECT api_key_id FROM api_keys
                 WHERE app_id = ?1 AND realm = coalesce(?2, realm) AND issued_at < ?3)",
            )?
            .execute(params![app_id.to_string(), realm.map(|realm| realm.to_string()), issued_before])?,
        // A realm may have many keys without escrow.
        Change::RevokeRealm { realm, issued_before } => connection
            .prepare_cached(
                "DELETE FROM escrow WHERE EXISTS (SELECT 1 FROM api_keys AS key
                 WHERE key.api_key_id = escrow.api_key_id AND key.realm = ?1 AND key.issued_at < ?2)",
            )?
            .execute(params![realm.as_str(), issued_before])?,
        Change::Suspend { .. } | Change::Resume { .. } | Change::ForgetVersion { .. } => 0,
    };
    Ok(())
}

/// Drops at most `limit` keys whose escrow has ended; how many.
pub(super) fn sweep(connection: &Connection, now: Timestamp, limit: u32) -> Result<usize, StoreError> {
    let delete = "DELETE FROM escrow WHERE api_key_id IN (SELECT api_key_id FROM escrow WHERE ends_at <= ?1 LIMIT ?2)";
    Ok(connection.execute(delete, params![now.as_second(), limit])?)
}
