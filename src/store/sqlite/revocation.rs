//! The log of revocations.

use bulla::{ApiKeyId, Change, Realm, RevocationEvent};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::damaged;
use crate::store::{LogPart, NewRevocation, StoreError};

/// Appends, marks the ledger, and drops the rows that say nothing any more.
pub(super) fn append(connection: &Connection, new: &NewRevocation) -> Result<(), StoreError> {
    let (recorded_at, effective_at) = (new.recorded_at.as_second(), new.effective_at.as_second());
    let superseded = match new.change {
        Change::Revoke { id, .. } => {
            connection
                .prepare_cached("UPDATE api_keys SET revoked_at = ?2, revoke_reason = ?3 WHERE api_key_id = ?1")?
                .execute(params![id.to_string(), effective_at, new.reason])?;
            connection
                .prepare_cached("DELETE FROM revocations WHERE api_key_id = ?1 AND kind = 'revoke'")?
                .execute([id.to_string()])
        }
        Change::Suspend { id, .. } | Change::Resume { id } => {
            let since = matches!(new.change, Change::Suspend { .. }).then_some(recorded_at);
            connection
                .prepare_cached("UPDATE api_keys SET suspended_at = ?2 WHERE api_key_id = ?1")?
                .execute(params![id.to_string(), since])?;
            connection
                .prepare_cached("DELETE FROM revocations WHERE api_key_id = ?1 AND kind IN ('suspend', 'resume')")?
                .execute([id.to_string()])
        }
        Change::RevokeApp { app_id, realm, issued_before } => connection
            .prepare_cached("DELETE FROM revocations WHERE app_id = ?1 AND realm IS ?2 AND issued_before <= ?3")?
            .execute(params![app_id.to_string(), realm.map(|realm| realm.to_string()), issued_before]),
        Change::RevokeRealm { realm, issued_before } => connection
            .prepare_cached(
                "DELETE FROM revocations WHERE kind = 'revoke-realm' AND realm = ?1 AND issued_before <= ?2",
            )?
            .execute(params![realm.as_str(), issued_before]),
        Change::ForgetVersion { .. } => return Ok(()),
    };
    superseded?;
    let (id, app_id, realm, issued_before, expires_at) = columns(&new.change);
    connection
        .prepare_cached(
            "INSERT INTO revocations (kind, api_key_id, version, app_id, realm, issued_before, expires_at, effective_at,
                                      reason, recorded_at, recorded_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            kind(&new.change),
            id.map(|id| id.to_string()),
            id.map(|id| id.version()),
            app_id.map(|app| app.to_string()),
            realm.map(|realm| realm.to_string()),
            issued_before,
            expires_at,
            effective_at,
            new.reason,
            recorded_at,
            new.recorded_by,
        ])?;
    Ok(())
}

/// The revocation of one id, and its suspension.
pub(super) fn taken_back(
    connection: &Connection,
    id: &ApiKeyId,
) -> Result<(Option<Timestamp>, Option<Timestamp>), StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT max(CASE kind WHEN 'revoke' THEN effective_at END), max(CASE kind WHEN 'suspend' THEN recorded_at END)
         FROM revocations WHERE api_key_id = ?1",
    )?;
    let time = |row: &Row<'_>, column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.and_then(|at| Timestamp::from_second(at).ok()))
    };
    Ok(query.query_row([id.to_string()], |row| Ok((time(row, 0)?, time(row, 1)?)))?)
}

/// The latest rule for exactly this app or every app, in exactly this realm or every realm.
pub(super) fn rule(
    connection: &Connection,
    app_id: Option<Uuid>,
    realm: Option<Realm>,
) -> Result<Option<Timestamp>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT max(issued_before) FROM revocations
         WHERE kind = CASE WHEN ?1 IS NULL THEN 'revoke-realm' ELSE 'revoke-app' END AND app_id IS ?1 AND realm IS ?2",
    )?;
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    let before: Option<i64> = query.query_row(params![app_id, realm], |row| row.get(0))?;
    Ok(before.and_then(|before| Timestamp::from_second(before).ok()))
}

/// What was recorded behind `seq`.
pub(super) fn after(connection: &Connection, seq: u64, limit: u32) -> Result<LogPart, StoreError> {
    let mut query = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'")?;
    let end: Option<i64> = query.query_row([], |row| row.get(0)).optional()?;
    let end = end.unwrap_or(0).unsigned_abs();
    let log_id = connection.prepare_cached("SELECT log_id FROM revocation_log")?.query_row([], |row| row.get(0))?;
    let mut query = connection.prepare_cached(
        "SELECT seq, kind, api_key_id, app_id, realm, issued_before, expires_at,
                nullif(effective_at, recorded_at) FROM revocations
         WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = query.query(params![i64::try_from(seq).unwrap_or(i64::MAX), limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let change = change(row)?.ok_or_else(|| damaged("the log of revocations", seq))?;
        events.push(RevocationEvent { seq: seq.unsigned_abs(), change, effective_at: row.get(7)? });
    }
    let full = events.len() == limit as usize;
    let through = events.last().filter(|_| full).map_or(end, |last: &RevocationEvent| last.seq);
    Ok(LogPart { log_id, events, through, end })
}

/// Drops rows of keys that nothing accepts any more.
pub(super) fn sweep(connection: &Connection, expired_before: Timestamp, destroyed: &[u32]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM revocations WHERE expires_at < ?1", [expired_before.as_second()])?;
    for version in destroyed {
        connection.execute("DELETE FROM revocations WHERE version = ?1", [version])?;
    }
    Ok(())
}

fn kind(change: &Change) -> &'static str {
    match change {
        Change::Revoke { .. } => "revoke",
        Change::Suspend { .. } => "suspend",
        Change::Resume { .. } => "resume",
        Change::RevokeApp { .. } => "revoke-app",
        Change::RevokeRealm { .. } | Change::ForgetVersion { .. } => "revoke-realm",
    }
}

type Columns = (Option<ApiKeyId>, Option<Uuid>, Option<Realm>, Option<u32>, Option<u32>);

fn columns(change: &Change) -> Columns {
    match *change {
        Change::Revoke { id, expires_at } | Change::Suspend { id, expires_at } => {
            (Some(id), None, None, None, expires_at)
        }
        Change::Resume { id } => (Some(id), None, None, None, None),
        Change::RevokeApp { app_id, realm, issued_before } => (None, Some(app_id), realm, Some(issued_before), None),
        Change::RevokeRealm { realm, issued_before } => (None, None, Some(realm), Some(issued_before), None),
        Change::ForgetVersion { .. } => (None, None, None, None, None),
    }
}

/// What a row says; `None` is a row that bulla did not write.
fn change(row: &Row<'_>) -> rusqlite::Result<Option<Change>> {
    let text = |column: usize| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(column)?.as_str_or_null()?) };
    let (kind, id, app_id, realm) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let (issued_before, expires_at): (Option<u32>, Option<u32>) = (row.get(5)?, row.get(6)?);
    let parse = || -> Option<Change> {
        let id = || id.and_then(|id| id.parse::<ApiKeyId>().ok());
        Some(match kind? {
            "revoke" => Change::Revoke { id: id()?, expires_at },
            "suspend" => Change::Suspend { id: id()?, expires_at },
            "resume" => Change::Resume { id: id()? },
            "revoke-app" => Change::RevokeApp {
                app_id: app_id?.parse().ok()?,
                realm: realm.map(str::parse).transpose().ok()?,
                issued_before: issued_before?,
            },
            "revoke-realm" => Change::RevokeRealm { realm: realm?.parse().ok()?, issued_before: issued_before? },
            _ => return None,
        })
    };
    Ok(parse())
}
