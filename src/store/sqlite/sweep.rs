//! Sweeping: makes ends final, drops what is no longer needed, and finds revocations that the log lost and the ledger
//! has.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{escrow, idempotency, revocation::IN_EFFECT, secret};
use crate::store::{LostRevocation, RevokedPage, StoreError, Sweep, rows::LostColumns};

/// The sweep clock as it was remembered last.
pub(super) fn clock(connection: &Connection) -> Result<u64, StoreError> {
    let at: i64 = connection.query_row("SELECT coalesce(max(at), 0) FROM sweep_clock", [], |row| row.get(0))?;
    Ok(u64::try_from(at).unwrap_or(0))
}

/// Returns whether anything has ended at `now` that is not final yet.
pub(super) fn is_anything_due(connection: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM revocations WHERE kind = 'revoke' AND in_effect = 0
                        AND effective_at > recorded_at AND effective_at <= ?1)
             OR EXISTS (SELECT 1 FROM secret_hashes WHERE retires_at <= ?1)",
    )?;
    Ok(query.query_row([now.as_second()], |row| row.get(0))?)
}

/// Makes what has ended final. The revocations get new numbers: a process that read them with a time ahead of its
/// clock, which may be set back meanwhile, reads them again.
pub(super) fn settle(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    const DUE: &str = "kind = 'revoke' AND in_effect = 0 AND effective_at > recorded_at AND effective_at <= ?1";
    connection.execute(
        &format!(
            "INSERT INTO revocations (kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by,
                                      in_effect)
             SELECT kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by, 1
             FROM revocations WHERE {DUE} ORDER BY seq"
        ),
        [now.as_second()],
    )?;
    connection.execute(&format!("DELETE FROM revocations WHERE {DUE}"), [now.as_second()])?;
    secret::sweep(connection, now)
}

/// Drops what is no longer needed.
pub(super) fn sweep(connection: &Connection, sweep: &Sweep<'_>) -> Result<(), StoreError> {
    settle(connection, sweep.now)?;
    escrow::sweep(connection, sweep.now)?;
    connection.execute("DELETE FROM revocations WHERE expires_at < ?1", [sweep.expired_before.as_second()])?;
    let destroyed = serde_json::json!(sweep.destroyed).to_string();
    connection.execute(
        "DELETE FROM revocations
         WHERE version IN (SELECT value FROM json_each(?1)) AND max(recorded_at, effective_at) < ?2",
        params![destroyed, sweep.expired_before.as_second()],
    )?;
    idempotency::sweep(connection, sweep.answered_before)?;
    remember_clock(connection, sweep.now)
}

/// Remembers the sweep clock.
pub(super) fn remember_clock(connection: &Connection, at: Timestamp) -> Result<(), StoreError> {
    connection.execute("UPDATE sweep_clock SET at = ?1", [at.as_second()])?;
    Ok(())
}

/// Up to `limit` revoked or suspended keys behind a place of the ledger: all, or those whose entries the log lost.
pub(super) fn revoked_page(
    connection: &Connection,
    after: i64,
    limit: u32,
    expired_before: Timestamp,
    all: bool,
) -> Result<RevokedPage, StoreError> {
    let logged = |kinds: &str| {
        format!("EXISTS (SELECT 1 FROM revocations WHERE revocations.api_key_id = page.api_key_id AND {kinds})")
    };
    // A suspension counts until a revocation is in effect, also in the grace period before that.
    let lost = format!(
        "((revoked_at IS NOT NULL AND NOT {revoked})
          OR (suspended_at IS NOT NULL AND NOT {suspended} AND NOT {in_effect}))",
        revoked = logged("kind NOT IN ('suspend', 'resume')"),
        suspended = logged("kind = 'suspend'"),
        in_effect = logged(&format!("({IN_EFFECT}) = 1")),
    );
    let mut query = connection.prepare_cached(&format!(
        "SELECT page.seq, api_key_id, app_id, issued_at, expires_at, revoked_at, revoke_reason,
                coalesce(expires_at, ?3) >= ?3 AND {}, suspended_at
         FROM (SELECT * FROM api_keys WHERE (revoked_at IS NOT NULL OR suspended_at IS NOT NULL) AND seq > ?1
               ORDER BY seq LIMIT ?2) AS page",
        if all { "1" } else { &lost }
    ))?;
    let mut rows = query.query(params![after, limit, expired_before.as_second()])?;
    let (mut page, mut count, mut last) = (RevokedPage::default(), 0, after);
    while let Some(row) = rows.next()? {
        (last, count) = (row.get(0)?, count + 1);
        if row.get::<_, bool>(7)? {
            page.lost.extend(lost_revocation(row)?);
        }
    }
    page.next = (count == limit).then_some(last);
    Ok(page)
}

fn lost_revocation(row: &Row<'_>) -> rusqlite::Result<Option<LostRevocation>> {
    let text = |column: usize| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
    let columns = LostColumns {
        id: text(1),
        app_id: text(2),
        issued_at: row.get(3)?,
        expires_at: row.get(4)?,
        revoked_at: row.get(5)?,
        reason: row.get(6)?,
        suspended_at: row.get(8)?,
    };
    Ok(columns.revocation())
}
