//! Reads the revocation log.

use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};

use crate::store::{
    LogPart, StoreError,
    rows::{Field, Read, RevocationColumns},
};

/// The columns that `read` takes, in its order.
const COLUMNS: &str =
    "seq, kind, api_key_id, app_id, realm, issued_before, expires_at, effective_at, recorded_at, in_effect";

/// The time before which a rule rejects. For an unreadable row it is the latest time that such a rule can have.
pub(super) const RULED_BEFORE: &str = "CASE WHEN rule.issued_before BETWEEN 0 AND 4294967295 THEN rule.issued_before
         WHEN rule.kind IN ('revoke_app', 'revoke_realm') THEN max(min(rule.recorded_at + 300, 4294967295), 0) END";

/// At most `limit` entries with higher numbers than `seq`.
pub(super) fn after(connection: &Connection, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revocations'), 0),
                    coalesce((SELECT max(seq) FROM revocations), 0))",
    )?;
    let end = query.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs();
    let log_id = connection.prepare_cached("SELECT log_id FROM revocation_log")?.query_row([], |row| row.get(0))?;
    let mut query = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM revocations WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
    let mut rows = query.query(params![i64::try_from(seq).unwrap_or(i64::MAX), limit])?;
    let (mut events, mut damaged, mut count, mut last) = (Vec::new(), Vec::new(), 0, end);
    while let Some(row) = rows.next()? {
        last = row.get::<_, i64>(0)?.unsigned_abs();
        count += 1;
        match read(row, last) {
            Read::Whole(event) => events.push(event),
            Read::Damaged(event, row) => {
                events.extend(event);
                damaged.push(row);
            }
        }
    }
    let through = if count == limit { last } else { end };
    Ok(LogPart { log_id, events, damaged, through, end, kept: seq.min(end), of_earlier_log: false })
}

/// The rows, among these, that are still damaged.
pub(super) fn still_damaged(connection: &Connection, rows: &[u64]) -> Result<Vec<u64>, StoreError> {
    let mut query = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM revocations WHERE seq = ?1"))?;
    let mut damaged = Vec::new();
    for seq in rows {
        let found = query.query_row([i64::try_from(*seq).unwrap_or(i64::MAX)], |row| Ok(read(row, *seq)));
        if matches!(found.optional()?, Some(Read::Damaged(..))) {
            damaged.push(*seq);
        }
    }
    Ok(damaged)
}

/// Reads a row.
fn read(row: &Row<'_>, seq: u64) -> Read {
    let text = |column: usize| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
    let number = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Null) => Field::None,
        Ok(ValueRef::Integer(number)) => Field::Is(number),
        _ => Field::Damaged,
    };
    let integer = |column: usize| row.get_ref(column).ok().and_then(|value| value.as_i64().ok());
    let realm = match (row.get_ref(4), text(4)) {
        (Ok(ValueRef::Null), _) => Field::None,
        (_, Some(realm)) => Field::Is(realm),
        (_, None) => Field::Damaged,
    };
    let columns = RevocationColumns {
        kind: text(1),
        id: text(2),
        app_id: text(3),
        realm,
        issued_before: number(5),
        expires_at: number(6),
        effective_at: number(7),
        recorded_at: integer(8),
        in_effect: integer(9),
    };
    columns.read(seq)
}
