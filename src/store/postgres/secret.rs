//! The table of secret halves' hashes.

use bulla::ApiKeyId;
use jiff::Timestamp;

use super::{counts::count, params::params, session::Session, store_row::Mark, transaction::Writing};
use crate::store::{NewSecretRow, SecretChanges, SecretRow, SecretSample, StoreError, rows::damaged};

/// The hashes of one key that are not retired at `now`, the newest first.
pub(super) fn of(session: &Session, id: &ApiKeyId, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
    let rows = session.query(
        "SELECT seq, phc, binding, retires_at, mac FROM bulla.secret_hashes
         WHERE api_key_id = $1 AND (retires_at IS NULL OR retires_at > $2) ORDER BY seq DESC",
        &params![id.to_string(), now.as_second()],
    )?;
    let mut hashes = Vec::new();
    for row in &rows {
        let (seq, retires_at): (i64, Option<i64>) = (row.get(0), row.get(3));
        match retires_at.map(Timestamp::from_second).transpose() {
            Ok(retires_at) => hashes.push(SecretRow {
                seq: seq.unsigned_abs(),
                phc: row.get(1),
                binding: row.get(2),
                mac: row.get(4),
                retires_at,
            }),
            // It counts as retired; another secret half of the key may be valid.
            Err(_) => tracing::error!("{}", damaged("the secret hashes", seq)),
        }
    }
    Ok(hashes)
}

/// Stores a hash.
pub(super) fn insert(writing: &mut Writing<'_>, row: &NewSecretRow) -> Result<(), StoreError> {
    writing.numbers.secret += 1;
    writing.writes().execute(
        "INSERT INTO bulla.secret_hashes (seq, api_key_id, phc, binding, created_at, retires_at, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &params![
            writing.numbers.secret,
            row.id.to_string(),
            row.phc.as_str(),
            row.binding.as_str(),
            row.created_at.as_second(),
            row.retires_at.map(Timestamp::as_second),
            row.mac.as_str(),
        ],
    )?;
    Ok(())
}

/// Retires a hash at `at`, or at once.
pub(super) fn retire(session: &Session, seq: u64, at: Option<Timestamp>) -> Result<bool, StoreError> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let changed = match at {
        Some(at) => session
            .execute("UPDATE bulla.secret_hashes SET retires_at = $2 WHERE seq = $1", &params![seq, at.as_second()])?,
        None => session.execute("DELETE FROM bulla.secret_hashes WHERE seq = $1", &params![seq])?,
    };
    Ok(changed > 0)
}

/// Replaces a hash, if it is still as it was read.
pub(super) fn replace(writing: &mut Writing<'_>, old: &SecretRow, new: &NewSecretRow) -> Result<bool, StoreError> {
    let removed = writing.writes().execute(
        "DELETE FROM bulla.secret_hashes
         WHERE seq = $1 AND api_key_id = $2 AND phc = $3 AND mac = $4 AND binding = $5
               AND retires_at IS NOT DISTINCT FROM $6",
        &params![
            i64::try_from(old.seq).unwrap_or(i64::MAX),
            new.id.to_string(),
            old.phc.as_str(),
            old.mac.as_str(),
            old.binding.as_str(),
            old.retires_at.map(Timestamp::as_second),
        ],
    )?;
    if removed == 0 {
        return Ok(false);
    }
    insert(writing, new)?;
    Ok(true)
}

/// Keys that got a hash with a higher number than `seq`.
pub(super) fn changes(session: &Session, mark: &Mark, seq: u64) -> Result<SecretChanges, StoreError> {
    // One statement, so that all is of one moment: the row of the store first.
    let rows = session.query(
        "SELECT NULL::bigint AS seq, mark AS text, secret_seq AS end_seq, needs, pg_is_in_recovery() AS standby
         FROM bulla.store WHERE id = 1
         UNION ALL SELECT seq, api_key_id, 0, 0, false FROM bulla.secret_hashes WHERE seq > $1
         ORDER BY seq NULLS FIRST",
        &params![i64::try_from(seq).unwrap_or(i64::MAX)],
    )?;
    let mut changes = SecretChanges::default();
    for row in &rows {
        let (number, text): (Option<i64>, &str) = (row.get(0), row.get(1));
        let Some(number) = number else {
            mark.compare(session, text, row.get(3), row.get(4))?;
            changes.end = count(row, 2);
            continue;
        };
        match text.parse() {
            Ok(id) => changes.changed.push((number.unsigned_abs(), id)),
            // The id is unreadable: the hash belongs to no key.
            Err(_) => tracing::error!("{}", damaged("the secret hashes", number)),
        }
    }
    Ok(changes)
}

/// Up to `limit` hashes of any key with higher numbers than `seq`, for an integrity check.
pub(super) fn sample(session: &Session, seq: u64, limit: u32) -> Result<SecretSample, StoreError> {
    let rows = session.query(
        "SELECT seq, api_key_id, phc, binding, mac FROM bulla.secret_hashes WHERE seq > $1 ORDER BY seq LIMIT $2",
        &params![i64::try_from(seq).unwrap_or(i64::MAX), i64::from(limit)],
    )?;
    let mut sample = SecretSample::default();
    for row in &rows {
        let seq = row.get::<_, i64>(0).unsigned_abs();
        let (phc, binding, mac) = (row.get(2), row.get(3), row.get(4));
        match row.get::<_, &str>(1).parse() {
            Ok(id) => sample.rows.push((id, SecretRow { seq, phc, binding, mac, retires_at: None })),
            Err(_) => sample.damaged.push(seq),
        }
    }
    sample.next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.get::<_, i64>(0).unsigned_abs());
    Ok(sample)
}

/// How many keys of a realm are active and have no secret half.
pub(super) fn without(session: &Session, realm: &str, now: Timestamp) -> Result<u64, StoreError> {
    let row = session.only(
        "SELECT count(*) FROM bulla.api_keys AS key WHERE realm = $1 AND (expires_at IS NULL OR expires_at > $2)
         AND (revoked_at IS NULL OR revoked_at > $2)
         AND issued_at >= coalesce(
             (SELECT max(issued_before) FROM bulla.revocations WHERE kind = 'revoke_realm' AND realm = $1), 0)
         AND NOT EXISTS (SELECT 1 FROM bulla.secret_hashes AS hash WHERE hash.api_key_id = key.api_key_id)",
        &params![realm, now.as_second()],
    )?;
    Ok(count(&row, 0))
}

/// Drops retired hashes.
pub(super) fn sweep(session: &Session, now: Timestamp) -> Result<(), StoreError> {
    session.execute("DELETE FROM bulla.secret_hashes WHERE retires_at <= $1", &params![now.as_second()])?;
    Ok(())
}
