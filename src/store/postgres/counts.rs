//! Counts over the ledger, which tell administrators how many keys a step ends.

use bulla::Realm;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{params::params, session::Session};
use crate::store::{ActiveCount, StoreError};

/// Whether a key is active at $1.
const ACTIVE: &str = "coalesce(revoked_at, $1 + 1) > $1 AND coalesce(expires_at, $1 + 1) > $1 AND suspended_at IS NULL
    AND issued_at >= coalesce((SELECT max(issued_before) FROM bulla.revocations AS rule WHERE rule.app_id = key.app_id
                               AND (rule.realm IS NULL OR rule.realm = key.realm)), 0)
    AND issued_at >= coalesce((SELECT max(issued_before) FROM bulla.revocations AS rule
                               WHERE rule.kind = 'revoke_realm' AND rule.realm = key.realm), 0)";

/// A column with a count.
pub(super) fn count(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}

/// How many keys of each version are active, and how many of those are the administrators'. One pass over the ledger.
pub(super) fn active(session: &Session, now: Timestamp) -> Result<Vec<ActiveCount>, StoreError> {
    let rows = session.query(
        &format!(
            "SELECT version, count(*), count(*) FILTER (WHERE realm = $2) FROM bulla.api_keys AS key
             WHERE {ACTIVE} GROUP BY version ORDER BY version"
        ),
        &params![now.as_second(), Realm::ADMIN.as_str()],
    )?;
    let read = |row: &Row| ActiveCount::of(row.get(0), count(row, 1), count(row, 2));
    Ok(rows.iter().filter_map(read).collect())
}

/// How many active keys of an app or a realm were issued before a time, and how many of those are the administrators'.
pub(super) fn active_issued_before(
    session: &Session,
    (app_id, realm): (Option<Uuid>, Option<Realm>),
    before: Option<Timestamp>,
    now: Timestamp,
) -> Result<(u64, u64), StoreError> {
    // One query for each, so that each uses its index.
    let which = match app_id {
        Some(_) => "app_id = $3 AND ($4 IS NULL OR realm = $4)",
        None => "$3 IS NULL AND realm = $4",
    };
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    let row = session.only(
        &format!(
            "SELECT count(*), count(*) FILTER (WHERE realm = $2) FROM bulla.api_keys AS key
             WHERE {which} AND issued_at < coalesce($5, issued_at + 1) AND {ACTIVE}"
        ),
        &params![now.as_second(), Realm::ADMIN.as_str(), app_id, realm, before.map(Timestamp::as_second)],
    )?;
    Ok((count(&row, 0), count(&row, 1)))
}

/// How many keys of an app or a realm were issued before a time.
pub(super) fn issued_before(
    session: &Session,
    app_id: Option<Uuid>,
    realm: Option<Realm>,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let which = match app_id {
        Some(_) => "app_id = $1 AND ($2 IS NULL OR realm = $2)",
        None => "$1 IS NULL AND realm = $2",
    };
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    let row = session.only(
        &format!("SELECT count(*) FROM bulla.api_keys WHERE {which} AND issued_at < $3"),
        &params![app_id, realm, before.as_second()],
    )?;
    Ok(count(&row, 0))
}

/// Returns whether there is any key of a realm.
pub(super) fn has_realm(session: &Session, realm: Realm) -> Result<bool, StoreError> {
    let row =
        session.only("SELECT EXISTS (SELECT 1 FROM bulla.api_keys WHERE realm = $1)", &params![realm.as_str()])?;
    Ok(row.get(0))
}

/// The rules with a time later than `after`: what each is about, and its time.
pub(super) fn rules_behind(session: &Session, after: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows = session.query(
        "SELECT what COLLATE \"C\", max(issued_before)
         FROM (SELECT CASE WHEN app_id IS NULL THEN 'realm ' || realm WHEN realm IS NULL THEN 'app ' || app_id
                           ELSE 'app ' || app_id || ' in realm ' || realm END AS what, issued_before
               FROM bulla.revocations WHERE issued_before > $1) AS rule
         GROUP BY 1 ORDER BY 1",
        &params![after.as_second()],
    )?;
    let rules = rows.iter().filter_map(|row| Some((row.get(0), Timestamp::from_second(row.get(1)).ok()?)));
    Ok(rules.collect())
}
