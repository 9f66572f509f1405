//! Reads the revocation log. An unreadable row stops no reader: the id, app or realm that it names is rejected, and reported.

use bulla::{
    ApiKeyId, Realm,
    revocation::{Change, RevocationEvent},
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use uuid::Uuid;

use crate::store::{DamagedRow, LogPart, StoreError};

/// The columns that `read` takes, in its order.
const COLUMNS: &str =
    "seq, kind, api_key_id, app_id, realm, issued_before, expires_at, effective_at, recorded_at, in_effect";

/// How far ahead of its record a rule may reach: the clock difference that verifiers allow.
const AHEAD: i64 = bulla::CLOCK_DIFFERENCE as i64;
const _: () = assert!(AHEAD == 300, "RULED_BEFORE repeats it in SQL");

/// The time before which a rule rejects. For an unreadable row it is the latest time that such a rule can have.
pub(super) const RULED_BEFORE: &str = "CASE WHEN rule.issued_before BETWEEN 0 AND 4294967295 THEN rule.issued_before
         WHEN rule.kind IN ('revoke_app', 'revoke_realm') THEN max(min(rule.recorded_at + 300, 4294967295), 0) END";

/// A row as it was read.
enum Read {
    Whole(RevocationEvent),
    Damaged(Option<RevocationEvent>, DamagedRow),
}

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
    Ok(LogPart { log_id, events, damaged, through, end })
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

/// A number of 32 bits.
enum Number {
    None,
    Fits(u32),
    Damaged,
}

fn number(row: &Row<'_>, column: usize) -> Number {
    match row.get_ref(column) {
        Ok(ValueRef::Null) => Number::None,
        Ok(ValueRef::Integer(number)) => u32::try_from(number).map_or(Number::Damaged, Number::Fits),
        _ => Number::Damaged,
    }
}

/// Reads a row: of an id, or a rule.
fn read(row: &Row<'_>, seq: u64) -> Read {
    let text = |column: usize| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
    let integer = |column: usize| row.get_ref(column).ok().and_then(|value| value.as_i64().ok());
    let mut wrong: Vec<&str> = Vec::new();
    let event = match (text(1), text(2).and_then(|id| id.parse::<ApiKeyId>().ok())) {
        (Some(kind @ ("revoke" | "suspend" | "resume")), Some(id)) => {
            let expires_at = match number(row, 6) {
                Number::Fits(at) => Some(at),
                Number::None => None,
                Number::Damaged if kind == "resume" => None,
                Number::Damaged => {
                    wrong.push("expires_at");
                    None
                }
            };
            match kind {
                "revoke" => {
                    let now = integer(9) != Some(0) || integer(7).is_some_and(|at| Some(at) <= integer(8));
                    let effective_at = match number(row, 7) {
                        Number::Fits(at) => Some(at).filter(|_| !now),
                        _ if now => None,
                        _ => {
                            wrong.push("effective_at");
                            None
                        }
                    };
                    Some(RevocationEvent { seq, change: Change::Revoke { id, expires_at }, effective_at })
                }
                "suspend" => Some(RevocationEvent::at_once(seq, Change::Suspend { id, expires_at })),
                _ => Some(RevocationEvent::at_once(seq, Change::Resume { id })),
            }
        }
        (_, Some(id)) => {
            wrong.push("kind");
            Some(RevocationEvent::at_once(seq, Change::Revoke { id, expires_at: None }))
        }
        (Some("revoke_app"), None) => text(3).and_then(|app_id| app_id.parse::<Uuid>().ok()).map(|app_id| {
            let realm = text(4).and_then(|realm| realm.parse::<Realm>().ok());
            if realm.is_none() && !matches!(row.get_ref(4), Ok(ValueRef::Null)) {
                wrong.push("realm");
            }
            let issued_before = issued_before(row, integer(8), &mut wrong);
            RevocationEvent::at_once(seq, Change::RevokeApp { app_id, realm, issued_before })
        }),
        (Some("revoke_realm"), None) => text(4).and_then(|realm| realm.parse::<Realm>().ok()).map(|realm| {
            let issued_before = issued_before(row, integer(8), &mut wrong);
            RevocationEvent::at_once(seq, Change::RevokeRealm { realm, issued_before })
        }),
        _ => None,
    };
    match event {
        Some(event) if wrong.is_empty() => Read::Whole(event),
        Some(event) => {
            let what = format!("{} cannot be read: {}", wrong.join(", "), rejected(&event.change));
            Read::Damaged(Some(event), DamagedRow { seq, what })
        }
        None => {
            let what = "it names no id, app or realm that can be read: nothing is rejected for it".to_owned();
            Read::Damaged(None, DamagedRow { seq, what })
        }
    }
}

/// The effect of a damaged row.
fn rejected(change: &Change) -> String {
    match change {
        Change::Suspend { id, .. } => format!("{id} counts as suspended"),
        Change::Revoke { id, .. } | Change::Resume { id } => format!("{id} counts as revoked"),
        Change::RevokeApp { app_id, .. } => format!("everything that {app_id} was issued until then counts as revoked"),
        Change::RevokeRealm { realm, .. } => format!("everything that {realm} issued until then counts as revoked"),
        Change::ForgetVersion { .. } => String::new(),
    }
}

/// The time of a rule. Where it is unreadable, it is the latest that the rule could have when it was recorded.
fn issued_before(row: &Row<'_>, recorded_at: Option<i64>, wrong: &mut Vec<&str>) -> u32 {
    if let Number::Fits(before) = number(row, 5) {
        return before;
    }
    wrong.push("issued_before");
    let latest = recorded_at.map_or(i64::MAX, |at| at.saturating_add(AHEAD));
    u32::try_from(latest.max(0)).unwrap_or(u32::MAX)
}
