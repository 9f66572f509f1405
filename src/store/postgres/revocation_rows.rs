//! Reads the revocation log.

use tokio_postgres::Row;

use super::{era::KEPT, params::params, session::Session, store_row::Mark};
use crate::store::{
    LogPart, StoreError,
    rows::{Read, RevocationColumns},
};

/// The columns that `read` takes, in its order.
const COLUMNS: &str =
    "seq, kind, api_key_id, app_id, realm, issued_before, expires_at, effective_at, recorded_at, in_effect";

/// The time before which a rule rejects. For an unreadable row it is the latest time that such a rule can have.
pub(super) const RULED_BEFORE: &str = "CASE WHEN rule.issued_before BETWEEN 0 AND 4294967295 THEN rule.issued_before
         WHEN rule.kind IN ('revoke_app', 'revoke_realm')
         THEN greatest(least(least(rule.recorded_at, 4294967295) + 300, 4294967295), 0) END";

/// At most `limit` entries with higher numbers than `seq`.
pub(super) fn after(session: &Session, mark: &Mark, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
    // One statement, so that all is of one moment: the row of the store first, which has neither kind nor number. A row
    // that somebody inserted by hand may have a higher number than any that was given.
    let mut rows = session.query(
        &format!(
            "SELECT NULL::bigint AS seq, log_id AS kind, mark AS api_key_id, NULL AS app_id, NULL AS realm,
                    needs AS issued_before, greatest(revocation_seq, (SELECT max(seq) FROM bulla.revocations)) AS expires_at,
                    {KEPT} AS effective_at,
                    log_begun AS recorded_at, pg_is_in_recovery()::int::bigint AS in_effect
             FROM bulla.store WHERE id = 1
             UNION ALL
             (SELECT {COLUMNS} FROM bulla.revocations WHERE seq > $1 ORDER BY seq LIMIT $2)
             ORDER BY seq NULLS FIRST"
        ),
        &params![i64::try_from(seq).unwrap_or(i64::MAX), i64::from(limit)],
    )?;
    if rows.first().is_none_or(|row| row.get::<_, Option<i64>>(0).is_some()) {
        return Err(StoreError::Failed("the store's table `store` has no row: restore it from a backup".to_owned()));
    }
    let head = rows.remove(0);
    mark.compare(session, head.get(2), head.get(5), head.get::<_, i64>(9) != 0)?;
    let end = head.get::<_, i64>(6).unsigned_abs();
    let (mut events, mut damaged, mut last) = (Vec::with_capacity(rows.len()), Vec::new(), end);
    for row in &rows {
        last = row.get::<_, i64>(0).unsigned_abs();
        match read(row, last) {
            Read::Whole(event) => events.push(event),
            Read::Damaged(event, row) => {
                events.extend(event);
                damaged.push(row);
            }
        }
    }
    let through = if rows.len() == limit as usize { last } else { end };
    let kept = head.get::<_, i64>(7).unsigned_abs().min(seq).min(end);
    let of_earlier_log = kept < seq && kept < head.get::<_, i64>(8).unsigned_abs();
    Ok(LogPart { log_id: head.get(1), events, damaged, through, end, kept, of_earlier_log })
}

/// The rows, among these, that are still damaged.
pub(super) fn still_damaged(session: &Session, rows: &[u64]) -> Result<Vec<u64>, StoreError> {
    let numbers: Vec<i64> = rows.iter().map(|seq| i64::try_from(*seq).unwrap_or(i64::MAX)).collect();
    let found =
        session.query(&format!("SELECT {COLUMNS} FROM bulla.revocations WHERE seq = ANY ($1)"), &params![numbers])?;
    let damaged = found.iter().filter_map(|row| {
        let seq = row.get::<_, i64>(0).unsigned_abs();
        matches!(read(row, seq), Read::Damaged(..)).then_some(seq)
    });
    Ok(damaged.collect())
}

/// Reads a row.
fn read(row: &Row, seq: u64) -> Read {
    let columns = RevocationColumns {
        kind: row.get(1),
        id: row.get(2),
        app_id: row.get(3),
        realm: row.get::<_, Option<&str>>(4).into(),
        issued_before: row.get::<_, Option<i64>>(5).into(),
        expires_at: row.get::<_, Option<i64>>(6).into(),
        effective_at: row.get::<_, Option<i64>>(7).into(),
        recorded_at: row.get(8),
        in_effect: row.get(9),
    };
    columns.read(seq)
}
