//! The ledger's table.

use bulla::ApiKeyId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};

use super::{revocation::IN_EFFECT, revocation_rows::RULED_BEFORE, seal_counts::count_seal};
use crate::{
    clock,
    last_used::Use,
    store::{
        LedgerEntry, LedgerFilter, LedgerRow, StoreError,
        rows::{LedgerColumns, damaged},
    },
};

/// The latest time before which a rule revokes what a key's app or realm was issued; 0 without one.
pub(super) fn ruled_before() -> String {
    format!(
        "max(coalesce((SELECT max({RULED_BEFORE}) FROM revocations AS rule WHERE rule.app_id = api_keys.app_id
                       AND (rule.realm IS NULL OR rule.realm = api_keys.realm)), 0),
             coalesce((SELECT max({RULED_BEFORE}) FROM revocations AS rule
                       WHERE rule.kind = 'revoke_realm' AND rule.realm = api_keys.realm), 0))"
    )
}

/// The columns of a key. Rules, and whether its revocation is in effect, are in the revocation log.
fn select() -> String {
    let ruled_before = ruled_before();
    format!(
        "SELECT seq, api_key_id, app_id, name, issued_at, expires_at, scopes, audience, cidr, meta, issued_by, rerolled_from,
                revoked_at, revoke_reason, suspended_at, last_used_at, use_count,
                {ruled_before},
                coalesce((SELECT max({IN_EFFECT}) FROM revocations AS own WHERE own.api_key_id = api_keys.api_key_id), 0)
         FROM api_keys"
    )
}

/// The keys behind a place, in the order they were recorded.
pub(super) fn list(connection: &Connection, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
    let mut query = format!("{} WHERE seq > :after", select());
    let without = filter.without.map(|realm| realm.to_string());
    let (realm, app_id) = (filter.realm.map(|realm| realm.to_string()), filter.app_id.map(|app| app.to_string()));
    let mut values: Vec<(&str, &dyn ToSql)> = named_params! { ":after": filter.after }.to_vec();
    if let Some(realm) = &realm {
        query.push_str(" AND realm = :realm");
        values.push((":realm", realm));
    }
    if let Some(without) = &without {
        query.push_str(" AND realm <> :without");
        values.push((":without", without));
    }
    if let Some(app_id) = &app_id {
        query.push_str(" AND app_id = :app_id");
        values.push((":app_id", app_id));
    }
    query.push_str(" ORDER BY seq");
    let mut statement = connection.prepare_cached(&query)?;
    let mut found = Vec::new();
    for row in statement.query_map(values.as_slice(), read)? {
        match row? {
            Ok(entry) => found.push(entry),
            Err(error) => tracing::error!(%error, "row of the ledger is damaged, left out of a list"),
        }
        if found.len() >= filter.limit as usize {
            break;
        }
    }
    Ok(found)
}

/// One key.
pub(super) fn find(connection: &Connection, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{} WHERE api_key_id = ?1", select()))?;
    statement.query_row([id.to_string()], read).optional()?.transpose()
}

/// Records a key, and counts it against the budget of its realm and version.
pub(super) fn insert(connection: &Connection, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError> {
    insert_row(connection, row)?.ok_or(StoreError::Duplicate)?;
    count_seal(connection, row.id.realm(), row.id.version(), budget)
}

/// Records a key; its place, unless the id is on record already.
pub(super) fn insert_row(connection: &Connection, row: &LedgerRow) -> Result<Option<i64>, StoreError> {
    let json = |value: serde_json::Result<String>| value.map_err(|error| StoreError::Failed(error.to_string()));
    let restrictions = row.restrictions.as_ref();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO api_keys (api_key_id, realm, app_id, version, name, issued_at, expires_at, scopes, audience, cidr,
                                   meta, issued_by, rerolled_from)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (api_key_id) DO NOTHING",
        )?
        .execute(params![
            row.id.to_string(),
            row.id.realm().as_str(),
            row.app_id.to_string(),
            row.id.version(),
            row.name,
            row.issued_at.as_second(),
            row.expires_at.map(Timestamp::as_second),
            row.scopes.join(" "),
            restrictions.map(|all| json(serde_json::to_string(&all.audience))).transpose()?,
            restrictions.map(|all| json(serde_json::to_string(&all.cidr))).transpose()?,
            json(serde_json::to_string(&row.meta))?,
            row.issued_by,
            row.rerolled_from.map(|id| id.to_string()),
        ])?;
    Ok((inserted > 0).then(|| connection.last_insert_rowid()))
}

/// Adds uses; ids that are not on record are ignored. A count that is full stays so, and stops no other.
pub(super) fn note_uses(connection: &Connection, uses: &[Use]) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?2),
                             use_count = min(use_count, 9223372036854775807 - ?3) + ?3
         WHERE api_key_id = ?1",
    )?;
    for used in uses {
        let count = i64::try_from(used.count).unwrap_or(i64::MAX);
        update.execute(params![used.id.to_string(), clock::timestamp(used.last_used).as_second(), count])?;
    }
    Ok(())
}

/// Reads a row. The outer error is SQLite's, the inner one is of a row that bulla did not write.
fn read(row: &Row<'_>) -> rusqlite::Result<Result<LedgerEntry, StoreError>> {
    let place = row.get(0)?;
    Ok(columns(row, place).map_err(|_| damaged("the ledger", place)).and_then(LedgerColumns::entry))
}

/// The columns of a row; an error where one is of another kind, as a text that is no UTF-8.
fn columns(row: &Row<'_>, place: i64) -> rusqlite::Result<LedgerColumns> {
    Ok(LedgerColumns {
        place,
        id: row.get(1)?,
        app_id: row.get(2)?,
        name: row.get(3)?,
        issued_at: row.get(4)?,
        expires_at: row.get(5)?,
        scopes: row.get(6)?,
        audience: row.get(7)?,
        cidr: row.get(8)?,
        meta: row.get(9)?,
        issued_by: row.get(10)?,
        rerolled_from: row.get(11)?,
        revoked_at: row.get(12)?,
        revoke_reason: row.get(13)?,
        suspended_at: row.get(14)?,
        last_used_at: row.get(15)?,
        use_count: row.get(16)?,
        issued_before: row.get(17)?,
        revoked_by_log: row.get(18)?,
    })
}
