//! The table of secret halves' hashes.

use bulla::ApiKeyId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::store::{NewSecretRow, SecretChanges, SecretRow, StoreError, rows::damaged};

/// The hashes of one key that are not retired at `now`, the newest first.
pub(super) fn of(connection: &Connection, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, phc, binding, retires_at, mac FROM secret_hashes
         WHERE api_key_id = ?1 AND (retires_at IS NULL OR retires_at > ?2) ORDER BY seq DESC",
    )?;
    let rows = query.query_map(params![id.to_string(), now.as_second()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<i64>>(3)?, row.get(4)?))
    })?;
    let mut hashes = Vec::new();
    for row in rows {
        let (seq, phc, binding, retires_at, mac) = row?;
        match retires_at.map(Timestamp::from_second).transpose() {
            Ok(retires_at) => hashes.push(SecretRow { seq: seq.unsigned_abs(), phc, binding, mac, retires_at }),
            // It counts as retired; another secret half of the key may be valid.
            Err(_) => tracing::error!("{}", damaged("the secret hashes", seq)),
        }
    }
    Ok(hashes)
}

/// Stores a hash.
pub(super) fn insert(connection: &Connection, row: &NewSecretRow) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO secret_hashes (api_key_id, phc, binding, created_at, retires_at, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            row.id.to_string(),
            row.phc,
            row.binding,
            row.created_at.as_second(),
            row.retires_at.map(Timestamp::as_second),
            row.mac,
        ])?;
    Ok(())
}

/// Retires a hash at `at`, or at once.
pub(super) fn retire(connection: &Connection, seq: u64, at: Option<Timestamp>) -> Result<bool, StoreError> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let changed = match at {
        Some(at) => connection
            .prepare_cached("UPDATE secret_hashes SET retires_at = ?2 WHERE seq = ?1")?
            .execute(params![seq, at.as_second()])?,
        None => connection.prepare_cached("DELETE FROM secret_hashes WHERE seq = ?1")?.execute([seq])?,
    };
    Ok(changed > 0)
}

/// Replaces a hash, if it is still as it was read.
pub(super) fn replace(connection: &Connection, old: &SecretRow, new: &NewSecretRow) -> Result<bool, StoreError> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM secret_hashes
             WHERE seq = ?1 AND api_key_id = ?2 AND phc = ?3 AND mac = ?4 AND binding = ?5 AND retires_at IS ?6",
        )?
        .execute(params![
            i64::try_from(old.seq).unwrap_or(i64::MAX),
            new.id.to_string(),
            old.phc,
            old.mac,
            old.binding,
            old.retires_at.map(Timestamp::as_second),
        ])?;
    if removed == 0 {
        return Ok(false);
    }
    insert(connection, new)?;
    Ok(true)
}

/// Keys that got a hash with a higher number than `seq`.
pub(super) fn changes(connection: &Connection, seq: u64) -> Result<SecretChanges, StoreError> {
    let mut query = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'secret_hashes'")?;
    let end: Option<i64> = query.query_row([], |row| row.get(0)).optional()?;
    let mut query =
        connection.prepare_cached("SELECT seq, api_key_id FROM secret_hashes WHERE seq > ?1 ORDER BY seq")?;
    let rows = query.query_map([i64::try_from(seq).unwrap_or(i64::MAX)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut changed = Vec::new();
    for row in rows {
        let (seq, id) = row?;
        match id.parse() {
            Ok(id) => changed.push((seq.unsigned_abs(), id)),
            // The id is unreadable: the hash belongs to no key.
            Err(_) => tracing::error!("{}", damaged("the secret hashes", seq)),
        }
    }
    Ok(SecretChanges { changed, end: end.unwrap_or(0).unsigned_abs() })
}

/// Up to `limit` hashes of any key with higher numbers than `seq`, for an integrity check.
pub(super) fn sample(connection: &Connection, seq: u64, limit: u32) -> Result<Vec<(ApiKeyId, SecretRow)>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, api_key_id, phc, binding, mac FROM secret_hashes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let rows = query.query_map(params![i64::try_from(seq).unwrap_or(i64::MAX), limit], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.map(|row| {
        let (seq, id, phc, binding, mac) = row?;
        let id = id.parse().map_err(|_| damaged("the secret hashes", seq))?;
        Ok((id, SecretRow { seq: seq.unsigned_abs(), phc, binding, mac, retires_at: None }))
    })
    .collect()
}

/// How many keys of a realm are active and have no secret half.
pub(super) fn without(connection: &Connection, realm: &str, now: Timestamp) -> Result<u64, StoreError> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM api_keys WHERE realm = ?1 AND (expires_at IS NULL OR expires_at > ?2)
         AND (revoked_at IS NULL OR revoked_at > ?2)
         AND issued_at >= coalesce(
             (SELECT max(issued_before) FROM revocations WHERE kind = 'revoke_realm' AND realm = ?1), 0)
         AND NOT EXISTS (SELECT 1 FROM secret_hashes WHERE secret_hashes.api_key_id = api_keys.api_key_id)",
        params![realm, now.as_second()],
        |row| row.get(0),
    )?;
    Ok(count.unsigned_abs())
}

/// Drops retired hashes.
pub(super) fn sweep(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    connection.execute("DELETE FROM secret_hashes WHERE retires_at <= ?1", [now.as_second()])?;
    Ok(())
}
