//! The revocation log: appends to it, and looks up one id, app or realm. Its kinds are spelled as in the feed
//! ([`bulla::revocation::ChangeKind::name`]).

use bulla::{ApiKeyId, Realm, revocation::Change};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{params::params, revocation_rows::RULED_BEFORE, session::Session, transaction::Writing};
use crate::store::{Logged, NewRevocation, StoreError, rows::change_columns};

/// Whether a row that names an id rejects it whatever the clock says; NULL for a suspension. An unreadable row rejects
/// it.
pub(super) const IN_EFFECT: &str = "CASE WHEN kind = 'revoke'
         THEN in_effect <> 0 OR effective_at <= recorded_at OR effective_at NOT BETWEEN 0 AND 4294967295
         WHEN kind NOT IN ('suspend', 'resume') THEN true END";

/// Appends, marks the ledger, and drops superseded rows.
pub(super) fn append(writing: &mut Writing<'_>, new: &NewRevocation) -> Result<(), StoreError> {
    let session = writing.appends()?;
    let recorded_at = new.recorded_at.as_second();
    // A revocation at once takes effect when it is recorded, however wrong the clock is.
    let effective_at = new.effective_at.map_or(recorded_at, |at| i64::from(at.seconds()));
    match new.change {
        Change::Revoke { id, .. } => {
            let id = id.to_string();
            session.execute(
                "WITH superseded AS (DELETE FROM bulla.revocations
                                     WHERE api_key_id = $1 AND kind NOT IN ('suspend', 'resume'))
                 UPDATE bulla.api_keys SET revoked_at = $2, revoke_reason = $3 WHERE api_key_id = $1",
                &params![id, effective_at, new.reason.as_deref()],
            )?
        }
        Change::Suspend { id, .. } | Change::Resume { id } => {
            let since = matches!(new.change, Change::Suspend { .. }).then_some(recorded_at);
            session.execute(
                "WITH superseded AS (DELETE FROM bulla.revocations
                                     WHERE api_key_id = $1 AND kind IN ('suspend', 'resume'))
                 UPDATE bulla.api_keys SET suspended_at = $2 WHERE api_key_id = $1",
                &params![id.to_string(), since],
            )?
        }
        Change::RevokeApp { app_id, realm, issued_before } => session.execute(
            "DELETE FROM bulla.revocations
             WHERE app_id = $1 AND realm IS NOT DISTINCT FROM $2 AND issued_before <= $3",
            &params![app_id.to_string(), realm.map(|realm| realm.to_string()), i64::from(issued_before)],
        )?,
        Change::RevokeRealm { realm, issued_before } => session.execute(
            "DELETE FROM bulla.revocations WHERE kind = 'revoke_realm' AND realm = $1 AND issued_before <= $2",
            &params![realm.as_str(), i64::from(issued_before)],
        )?,
        Change::ForgetVersion { .. } => return Ok(()),
    };
    let Some(kind) = new.change.kind() else { return Ok(()) };
    let (id, app_id, realm, issued_before, expires_at) = change_columns(&new.change);
    writing.numbers.revocation += 1;
    session.execute(
        "INSERT INTO bulla.revocations (seq, kind, api_key_id, version, app_id, realm, issued_before, expires_at,
                                        effective_at, reason, recorded_at, recorded_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &params![
            writing.numbers.revocation,
            kind.name(),
            id.map(|id| id.to_string()),
            id.map(|id| i64::from(id.version())),
            app_id.map(|app| app.to_string()),
            realm.map(|realm| realm.to_string()),
            issued_before.map(i64::from),
            expires_at.map(i64::from),
            effective_at,
            new.reason.as_deref(),
            recorded_at,
            new.recorded_by.as_str(),
        ],
    )?;
    Ok(())
}

/// The state of one id in the log.
pub(super) fn logged(session: &Session, id: &ApiKeyId) -> Result<Logged, StoreError> {
    let row = session.only(
        &format!(
            "SELECT max(CASE WHEN kind = 'revoke' AND effective_at BETWEEN 0 AND 4294967295
                             AND coalesce(expires_at, 0) BETWEEN 0 AND 4294967295 THEN effective_at END),
                    coalesce(bool_or({IN_EFFECT}), false), max(CASE kind WHEN 'suspend' THEN recorded_at END)
             FROM bulla.revocations WHERE api_key_id = $1"
        ),
        &params![id.to_string()],
    )?;
    let time = |at: Option<i64>| at.and_then(|at| Timestamp::from_second(at).ok());
    Ok(Logged { revoked_at: time(row.get(0)), in_effect: row.get(1), suspended_at: time(row.get(2)) })
}

/// Puts the revocation of an id in effect, whatever the clock says. It gets a new number: a process that read it with a
/// time ahead of its clock reads it again.
pub(super) fn put_in_effect(writing: &mut Writing<'_>, id: &ApiKeyId) -> Result<(), StoreError> {
    let (session, id) = (writing.appends()?, id.to_string());
    let number = writing.numbers.revocation + 1;
    let inserted = session.execute(
        "INSERT INTO bulla.revocations (seq, kind, api_key_id, version, expires_at, effective_at, reason, recorded_at,
                                        recorded_by, in_effect)
         SELECT $2, kind, api_key_id, version, expires_at, effective_at, reason, recorded_at, recorded_by, 1
         FROM bulla.revocations WHERE api_key_id = $1 AND kind = 'revoke' ORDER BY seq DESC LIMIT 1",
        &params![id, number],
    )?;
    if inserted > 0 {
        writing.numbers.revocation = number;
        session.execute(
            "DELETE FROM bulla.revocations WHERE api_key_id = $1 AND kind = 'revoke' AND seq < $2",
            &params![id, number],
        )?;
    }
    Ok(())
}

/// The latest rule for exactly this app or every app, in exactly this realm or every realm.
pub(super) fn rule(
    session: &Session,
    app_id: Option<Uuid>,
    realm: Option<Realm>,
) -> Result<Option<Timestamp>, StoreError> {
    // This form uses the partial indices.
    let which = match app_id {
        Some(_) => "kind = 'revoke_app' AND app_id = $1 AND realm IS NOT DISTINCT FROM $2",
        None => "kind = 'revoke_realm' AND app_id IS NOT DISTINCT FROM $1 AND realm = $2",
    };
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    let row = session.only(
        &format!("SELECT max({RULED_BEFORE}) FROM bulla.revocations AS rule WHERE {which}"),
        &params![app_id, realm],
    )?;
    Ok(time(&row))
}

/// The latest rule that reaches this app's keys in this realm. One statement, since each issued key asks for it under
/// the lock; its parts use the partial indices.
pub(super) fn latest_rule(session: &Session, app_id: Uuid, realm: Realm) -> Result<Option<Timestamp>, StoreError> {
    let latest = |which: &str| format!("(SELECT max({RULED_BEFORE}) FROM bulla.revocations AS rule WHERE {which})");
    let parts = [
        latest("kind = 'revoke_app' AND app_id = $1 AND realm IS NULL"),
        latest("kind = 'revoke_app' AND app_id = $1 AND realm = $2"),
        latest("kind = 'revoke_realm' AND app_id IS NULL AND realm = $2"),
    ];
    let row = session
        .only(&format!("SELECT greatest({})", parts.join(", ")), &params![app_id.to_string(), realm.as_str()])?;
    Ok(time(&row))
}

fn time(row: &Row) -> Option<Timestamp> {
    row.get::<_, Option<i64>>(0).and_then(|before| Timestamp::from_second(before).ok())
}
