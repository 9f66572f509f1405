//! Counts over the ledger, which tell administrators how many keys a step ends.

use bulla::Realm;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::columns::readable_text;
use crate::store::{ActiveCount, StoreError};

/// Whether a key is active at ?1.
const ACTIVE: &str = "coalesce(revoked_at, ?1 + 1) > ?1 AND coalesce(expires_at, ?1 + 1) > ?1 AND suspended_at IS NULL
    AND issued_at >= coalesce((SELECT max(issued_before) FROM revocations AS rule WHERE rule.app_id = key.app_id
                               AND (rule.realm IS NULL OR rule.realm = key.realm)), 0)
    AND issued_at >= coalesce((SELECT max(issued_before) FROM revocations AS rule
                               WHERE rule.kind = 'revoke_realm' AND rule.realm = key.realm), 0)";

/// How many keys of each version are active, and how many of those are the administrators'. One pass over the ledger.
pub(super) fn active(connection: &Connection, now: Timestamp) -> Result<Vec<ActiveCount>, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT version, count(*), coalesce(sum(realm = ?2), 0) FROM api_keys AS key WHERE {ACTIVE} GROUP BY version"
    ))?;
    let rows = query.query_map(params![now.as_second(), Realm::ADMIN.as_str()], |row| {
        let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(ActiveCount::of(row.get(0)?, count(1)?, count(2)?))
    })?;
    Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

/// How many active keys of an app or a realm were issued before a time, and how many of those are the administrators'.
pub(super) fn active_issued_before(
    connection: &Connection,
    (app_id, realm): (Option<Uuid>, Option<Realm>),
    before: Option<Timestamp>,
    now: Timestamp,
) -> Result<(u64, u64), StoreError> {
    // One query for each, so that each uses its index.
    let which = match app_id {
        Some(_) => "app_id = ?3 AND (?4 IS NULL OR realm = ?4)",
        None => "?3 IS NULL AND realm = ?4",
    };
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    let mut query = connection.prepare_cached(&format!(
        "SELECT count(*), coalesce(sum(realm = ?2), 0) FROM api_keys AS key
         WHERE {which} AND issued_at < coalesce(?5, issued_at + 1) AND {ACTIVE}"
    ))?;
    let before = before.map(Timestamp::as_second);
    let parameters = params![now.as_second(), Realm::ADMIN.as_str(), app_id, realm, before];
    let count = |row: &rusqlite::Row<'_>, column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(query.query_row(parameters, |row| Ok((count(row, 0)?, count(row, 1)?)))?)
}

/// How many keys of an app or a realm were issued before a time.
pub(super) fn issued_before(
    connection: &Connection,
    app_id: Option<Uuid>,
    realm: Option<Realm>,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let (app_id, realm) = (app_id.map(|app| app.to_string()), realm.map(|realm| realm.to_string()));
    // One query for each, so that each uses its index.
    let which = match (&app_id, &realm) {
        (Some(_), _) => "app_id = ?1 AND (?2 IS NULL OR realm = ?2)",
        _ => "?1 IS NULL AND realm = ?2",
    };
    let count: i64 = connection
        .prepare_cached(&format!("SELECT count(*) FROM api_keys WHERE {which} AND issued_at < ?3"))?
        .query_row(params![app_id, realm, before.as_second()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Returns whether there is any key of a realm.
pub(super) fn has_realm(connection: &Connection, realm: Realm) -> Result<bool, StoreError> {
    let mut query = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM api_keys WHERE realm = ?1)")?;
    Ok(query.query_row([realm.as_str()], |row| row.get(0))?)
}

/// The rules with a time later than `after`: what each is about, and its time.
pub(super) fn rules_behind(connection: &Connection, after: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT CASE WHEN app_id IS NULL THEN 'realm ' || realm WHEN realm IS NULL THEN 'app ' || app_id
                     ELSE 'app ' || app_id || ' in realm ' || realm END, max(issued_before)
         FROM revocations WHERE issued_before > ?1 GROUP BY 1 ORDER BY 1",
    )?;
    let rows = query.query_map([after.as_second()], |row| {
        Ok((readable_text(row, 0).unwrap_or_default().into_owned(), row.get::<_, i64>(1)?))
    })?;
    let rules: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
    Ok(rules.into_iter().filter_map(|(what, at)| Some((what, Timestamp::from_second(at).ok()?))).collect())
}
