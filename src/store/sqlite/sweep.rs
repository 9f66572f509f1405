//! Sweeping: makes ends final, drops what is no longer needed, and finds revocations that the log lost and the ledger
//! has.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{columns::text, escrow, idempotency, revocation::IN_EFFECT, secret};
use crate::store::{LostRevocation, RevokedPage, StoreError, Sweep, rows::LostColumns};

/// Rows of each kind that one transaction drops, so that no other writer waits for long.
pub(super) const PORTION: u32 = 10_000;

/// How long the next portion waits, so that other writers come in between.
pub(super) const BREAK: Duration = Duration::from_millis(5);

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

/// Makes at most `limit` of what has ended final; how many. The revocations get new numbers: a process that read them
/// with a time ahead of its clock, which may be set back meanwhile, reads them again.
pub(super) fn settle(connection: &Connection, now: Timestamp, limit: u32) -> Result<usize, StoreError> {
    const DUE: &str = "seq IN (SELECT seq FROM revocations WHERE kind = 'revoke' AND in_effect = 0
                               AND effective_at > recorded_at AND effective_at <= ?1 ORDER BY seq LIMIT ?2)";
    connection.execute(
        &format!(
            "INSERT INTO revocations (kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by,
                                      in_effect)
             SELECT kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by, 1
             FROM revocations WHERE {DUE} ORDER BY seq"
        ),
        params![now.as_second(), limit],
    )?;
    // What was inserted is not due any more, so these are the same rows.
    let settled =
        connection.execute(&format!("DELETE FROM revocations WHERE {DUE}"), params![now.as_second(), limit])?;
    Ok(settled + secret::sweep(connection, now, limit)?)
}

/// Drops what is no longer needed, at most `limit` rows of each kind; how many. Remembers the sweep clock once nothing is
/// left.
pub(super) fn sweep(connection: &Connection, sweep: &Sweep<'_>, limit: u32) -> Result<usize, StoreError> {
    let before = sweep.expired_before.as_second();
    let mut dropped = escrow::sweep(connection, sweep.now, limit)?;
    // A time before 1970 is damage, for which its key counts as revoked for good; and rules do not expire.
    dropped += connection.execute(
        "DELETE FROM revocations WHERE seq IN (
             SELECT seq FROM revocations WHERE expires_at >= 0 AND expires_at < ?1 AND api_key_id IS NOT NULL LIMIT ?2)",
        params![before, limit],
    )?;
    if !sweep.destroyed.is_empty() {
        let destroyed = serde_json::json!(sweep.destroyed).to_string();
        dropped += connection.execute(
            "DELETE FROM revocations WHERE seq IN (
                 SELECT seq FROM revocations WHERE version IN (SELECT value FROM json_each(?1))
                 AND max(recorded_at, effective_at) < ?2 LIMIT ?3)",
            params![destroyed, before, limit],
        )?;
    }
    dropped += idempotency::sweep(connection, sweep.answered_before, limit)?;
    if dropped < limit as usize {
        remember_clock(connection, sweep.now)?;
    }
    Ok(dropped)
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
    let text = |column: usize| text(row, column);
    let columns = LostColumns {
        id: text(1),
        app_id: text(2),
        issued_at: row.get(3)?,
        expires_at: row.get(4)?,
        revoked_at: row.get(5)?,
        reason: text(6).map(str::to_owned),
        suspended_at: row.get(8)?,
    };
    Ok(columns.revocation())
}
