//! The table of secret halves' hashes.

use bulla::ApiKeyId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::text;
use crate::store::{NewSecretRow, SecretChanges, SecretRow, SecretSample, StoreError, rows::damaged};

/// The hashes of one key that are not retired at `now`, the newest first.
pub(super) fn of(connection: &Connection, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, phc, binding, mac, retires_at FROM secret_hashes
         WHERE api_key_id = ?1 AND (retires_at IS NULL OR retires_at > ?2) ORDER BY seq DESC",
    )?;
    let mut rows = query.query(params![id.to_string(), now.as_second()])?;
    let mut hashes = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let retires_at = row.get::<_, Option<i64>>(4)?.map(Timestamp::from_second).transpose();
        match retires_at.ok().and_then(|retires_at| read(row, seq, 1, retires_at)) {
            Some(hash) => hashes.push(hash),
            // It counts as retired; another secret half of the key may be valid.
            None => tracing::error!("{}", damaged("the secret hashes", seq)),
        }
    }
    Ok(hashes)
}

/// Reads a hash, whose columns begin at `first`; `None` where one is no text.
fn read(row: &Row<'_>, seq: i64, first: usize, retires_at: Option<Timestamp>) -> Option<SecretRow> {
    let text = |column: usize| text(row, first + column).map(str::to_owned);
    Some(SecretRow { seq: seq.unsigned_abs(), phc: text(0)?, binding: text(1)?, mac: text(2)?, retires_at })
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
    let mut rows = query.query([i64::try_from(seq).unwrap_or(i64::MAX)])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        match text(row, 1).and_then(|id| id.parse().ok()) {
            Some(id) => changed.push((seq.unsigned_abs(), id)),
            // The id is unreadable: the hash belongs to no key.
            None => tracing::error!("{}", damaged("the secret hashes", seq)),
        }
    }
    Ok(SecretChanges { changed, end: end.unwrap_or(0).unsigned_abs() })
}

/// Up to `limit` hashes of any key with higher numbers than `seq`, for an integrity check.
pub(super) fn sample(connection: &Connection, seq: u64, limit: u32) -> Result<SecretSample, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, api_key_id, phc, binding, mac FROM secret_hashes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = query.query(params![i64::try_from(seq).unwrap_or(i64::MAX), limit])?;
    let (mut sample, mut count, mut last) = (SecretSample::default(), 0, seq);
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        (last, count) = (seq.unsigned_abs(), count + 1);
        match text(row, 1).and_then(|id| id.parse().ok()).zip(read(row, seq, 2, None)) {
            Some(hash) => sample.rows.push(hash),
            None => sample.damaged.push(last),
        }
    }
    sample.next = (count == limit).then_some(last);
    Ok(sample)
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

/// Drops at most `limit` retired hashes; how many.
pub(super) fn sweep(connection: &Connection, now: Timestamp, limit: u32) -> Result<usize, StoreError> {
    let delete =
        "DELETE FROM secret_hashes WHERE seq IN (SELECT seq FROM secret_hashes WHERE retires_at <= ?1 LIMIT ?2)";
    Ok(connection.execute(delete, params![now.as_second(), limit])?)
}
