//! Sweeping: makes ends final, drops what is no longer needed, and finds revocations that the log lost and the ledger
//! has.

use jiff::Timestamp;

use super::{
    escrow, idempotency, params::params, revocation::IN_EFFECT, secret, session::Session, transaction::Writing,
};
use crate::store::{RevokedPage, StoreError, Sweep, rows::LostColumns};

/// Revocations whose time has come and that are not final yet.
const DUE: &str = "kind = 'revoke' AND in_effect = 0 AND effective_at > recorded_at AND effective_at <= $1";

/// The sweep clock as it was remembered last.
pub(super) fn clock(session: &Session) -> Result<u64, StoreError> {
    let row = session.only("SELECT sweep_clock FROM bulla.store WHERE id = 1", &[])?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// Returns whether anything has ended at `now` that is not final yet.
pub(super) fn is_anything_due(session: &Session, now: Timestamp) -> Result<bool, StoreError> {
    let row = session.only(
        &format!(
            "SELECT EXISTS (SELECT 1 FROM bulla.revocations WHERE {DUE})
                 OR EXISTS (SELECT 1 FROM bulla.secret_hashes WHERE retires_at <= $1)"
        ),
        &params![now.as_second()],
    )?;
    Ok(row.get(0))
}

/// Makes what has ended final. The revocations get new numbers: a process that read them with a time ahead of its
/// clock, which may be set back meanwhile, reads them again.
pub(super) fn settle(writing: &mut Writing<'_>, now: Timestamp) -> Result<(), StoreError> {
    let session = writing.appends()?;
    let settled = session.execute(
        &format!(
            "WITH due AS (DELETE FROM bulla.revocations WHERE {DUE} RETURNING *)
             INSERT INTO bulla.revocations (seq, kind, api_key_id, version, expires_at, effective_at, reason, recorded_at,
                                            recorded_by, in_effect)
             SELECT $2 + row_number() OVER (ORDER BY seq), kind, api_key_id, version, expires_at, effective_at, reason,
                    recorded_at, recorded_by, 1
             FROM due"
        ),
        &params![now.as_second(), writing.numbers.revocation],
    )?;
    writing.numbers.revocation = writing.numbers.revocation.saturating_add_unsigned(settled);
    secret::sweep(session, now)
}

/// Drops what is no longer needed.
pub(super) fn sweep(writing: &mut Writing<'_>, sweep: &Sweep<'_>) -> Result<(), StoreError> {
    settle(writing, sweep.now)?;
    let session = writing.writes();
    escrow::sweep(session, sweep.now)?;
    let before = sweep.expired_before.as_second();
    // A time before 1970 is damage, for which its key counts as revoked for good; and rules do not expire.
    session.execute(
        "DELETE FROM bulla.revocations WHERE expires_at >= 0 AND expires_at < $1 AND api_key_id IS NOT NULL",
        &params![before],
    )?;
    let destroyed: Vec<i64> = sweep.destroyed.iter().map(|version| i64::from(*version)).collect();
    session.execute(
        "DELETE FROM bulla.revocations WHERE version = ANY ($1) AND greatest(recorded_at, effective_at) < $2",
        &params![destroyed, before],
    )?;
    idempotency::sweep(session, sweep.answered_before)?;
    remember_clock(session, sweep.now)
}

/// Remembers the sweep clock.
pub(super) fn remember_clock(session: &Session, at: Timestamp) -> Result<(), StoreError> {
    session.execute("UPDATE bulla.store SET sweep_clock = $1 WHERE id = 1", &params![at.as_second()])?;
    Ok(())
}

/// Up to `limit` revoked or suspended keys behind a place of the ledger: all, or those whose entries the log lost.
pub(super) fn revoked_page(
    session: &Session,
    after: i64,
    limit: u32,
    expired_before: Timestamp,
    all: bool,
) -> Result<RevokedPage, StoreError> {
    let logged = |which: &str| {
        format!("EXISTS (SELECT 1 FROM bulla.revocations AS log WHERE log.api_key_id = page.api_key_id AND {which})")
    };
    // A suspension counts until a revocation is in effect, also in the grace period before that.
    let lost = format!(
        "((revoked_at IS NOT NULL AND NOT {revoked})
          OR (suspended_at IS NOT NULL AND NOT {suspended} AND NOT {in_effect}))",
        revoked = logged("kind NOT IN ('suspend', 'resume')"),
        suspended = logged("kind = 'suspend'"),
        in_effect = logged(&format!("({IN_EFFECT})")),
    );
    let rows = session.query(
        &format!(
            "SELECT page.seq, api_key_id, app_id, issued_at, expires_at, revoked_at, revoke_reason, suspended_at,
                    coalesce(expires_at, $3) >= $3 AND {}
             FROM (SELECT * FROM bulla.api_keys WHERE (revoked_at IS NOT NULL OR suspended_at IS NOT NULL) AND seq > $1
                   ORDER BY seq LIMIT $2) AS page ORDER BY page.seq",
            if all { "true" } else { &lost }
        ),
        &params![after, i64::from(limit), expired_before.as_second()],
    )?;
    let lost = rows.iter().filter(|row| row.get(8)).filter_map(|row| {
        let columns = LostColumns {
            id: row.get(1),
            app_id: row.get(2),
            issued_at: row.get(3),
            expires_at: row.get(4),
            revoked_at: row.get(5),
            reason: row.get(6),
            suspended_at: row.get(7),
        };
        columns.revocation()
    });
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.get(0));
    Ok(RevokedPage { lost: lost.collect(), next })
}
