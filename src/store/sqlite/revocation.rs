//! The revocation log: appends to it, and looks up one id, app or realm. Its kinds are spelled as in the feed
//! ([`bulla::revocation::ChangeKind::name`]).

use bulla::{ApiKeyId, Realm, revocation::Change};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::revocation_rows::RULED_BEFORE;
use crate::store::{Logged, NewRevocation, StoreError, rows::change_columns};

/// Whether a row that names an id rejects it whatever the clock says; NULL for a suspension. An unreadable row rejects
/// it.
pub(super) const IN_EFFECT: &str = "CASE WHEN kind = 'revoke'
         THEN in_effect <> 0 OR effective_at <= recorded_at OR effective_at NOT BETWEEN 0 AND 4294967295
         WHEN kind NOT IN ('suspend', 'resume') THEN 1 END";

/// Appends, marks the ledger, and drops superseded rows.
pub(super) fn append(connection: &Connection, new: &NewRevocation) -> Result<(), StoreError> {
    let recorded_at = new.recorded_at.as_second();
    // A revocation at once takes effect when it is recorded, however wrong the clock is.
    let effective_at = new.effective_at.map_or(recorded_at, |at| i64::from(at.seconds()));
    let superseded = match new.change {
        Change::Revoke { id, .. } => {
            connection
                .prepare_cached("UPDATE api_keys SET revoked_at = ?2, revoke_reason = ?3 WHERE api_key_id = ?1")?
                .execute(params![id.to_string(), effective_at, new.reason])?;
            connection
                .prepare_cached("DELETE FROM revocations WHERE api_key_id = ?1 AND kind NOT IN ('suspend', 'resume')")?
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
                "DELETE FROM revocations WHERE kind = 'revoke_realm' AND realm = ?1 AND issued_before <= ?2",
            )?
            .execute(params![realm.as_str(), issued_before]),
        Change::ForgetVersion { .. } => return Ok(()),
    };
    superseded?;
    let Some(kind) = new.change.kind() else { return Ok(()) };
    let (id, app_id, realm, issued_before, expires_at) = change_columns(&new.change);
    connection
        .prepare_cached(
            "INSERT INTO revocations (kind, api_key_id, version, app_id, realm, issued_before, expires_at, effective_at,
                                      reason, recorded_at, recorded_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            kind.name(),
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

/// The state of one id in the log.
pub(super) fn logged(connection: &Connection, id: &ApiKeyId) -> Result<Logged, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT max(CASE WHEN kind = 'revoke' AND effective_at BETWEEN 0 AND 4294967295
                         AND coalesce(expires_at, 0) BETWEEN 0 AND 4294967295 THEN effective_at END), max({IN_EFFECT}),
                max(CASE kind WHEN 'suspend' THEN recorded_at END)
         FROM revocations WHERE api_key_id = ?1"
    ))?;
    let time = |at: Option<i64>| at.and_then(|at| Timestamp::from_second(at).ok());
    Ok(query.query_row([id.to_string()], |row| {
        let in_effect: Option<bool> = row.get(1)?;
        Ok(Logged {
            revoked_at: time(row.get(0)?),
            in_effect: in_effect == Some(true),
            suspended_at: time(row.get(2)?),
        })
    })?)
}

/// Puts the revocation of an id in effect, whatever the clock says. It gets a new number: a process that read it with a
/// time ahead of its clock reads it again.
pub(super) fn put_in_effect(connection: &Connection, id: &ApiKeyId) -> Result<(), StoreError> {
    let id = id.to_string();
    connection
        .prepare_cached(
            "INSERT INTO revocations (kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by,
                                      in_effect)
             SELECT kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by, 1
             FROM revocations WHERE api_key_id = ?1 AND kind = 'revoke' ORDER BY seq DESC LIMIT 1",
        )?
        .execute([&id])?;
    connection
        .prepare_cached("DELETE FROM revocations WHERE api_key_id = ?1 AND kind = 'revoke' AND seq < ?2")?
        .execute(params![id, connection.last_insert_rowid()])?;
    Ok(())
}

/// The latest rule for exactly this app or every app, in exactly this realm or every realm.
pub(super) fn rule(
    connection: &Connection,
    app_id: Option<Uuid>,
    realm: Option<Realm>,
) -> Result<Option<Timestamp>, StoreError> {
    // This form uses the partial indices.
    let which = match app_id {
        Some(_) => "kind = 'revoke_app' AND app_id = ?1 AND realm IS ?2",
        None => "kind = 'revoke_realm' AND app_id IS ?1 AND realm = ?2",
    };
    let rules = format!("SELECT max({RULED_BEFORE}) FROM revocations AS rule WHERE {which}");
    let mut query = connection.prepare_cached(&rules)?;
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    let before: Option<i64> = query.query_row(params![app_id, realm], |row| row.get(0))?;
    Ok(before.and_then(|before| Timestamp::from_second(before).ok()))
}

/// The latest rule that reaches this app's keys in this realm.
pub(super) fn latest_rule(
    connection: &Connection,
    app_id: Uuid,
    realm: Realm,
) -> Result<Option<Timestamp>, StoreError> {
    let rules = [(Some(app_id), None), (Some(app_id), Some(realm)), (None, Some(realm))];
    let found: Result<Vec<_>, _> = rules.into_iter().map(|(app, realm)| rule(connection, app, realm)).collect();
    Ok(found?.into_iter().flatten().max())
}
