//! Reading the ledger.

use bulla::ApiKeyId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};

use crate::store::{LedgerFilter, LedgerRow, StoreError};

const COLUMNS: &str = "seq, api_key_id, app_id, version, name, issued_at, expires_at, scopes, meta, issued_by";

/// The rows behind `after`, in the order they were recorded, each with its place in it.
pub(super) fn list(connection: &Connection, filter: &LedgerFilter) -> Result<Vec<(i64, LedgerRow)>, StoreError> {
    let mut query = format!("SELECT {COLUMNS} FROM api_keys WHERE seq > :after");
    let (realm, app_id) = (filter.realm.map(|realm| realm.to_string()), filter.app_id.map(|app| app.to_string()));
    let mut values: Vec<(&str, &dyn ToSql)> = named_params! { ":after": filter.after, ":limit": filter.limit }.to_vec();
    if let Some(realm) = &realm {
        query.push_str(" AND realm = :realm");
        values.push((":realm", realm));
    }
    if let Some(app_id) = &app_id {
        query.push_str(" AND app_id = :app_id");
        values.push((":app_id", app_id));
    }
    query.push_str(" ORDER BY seq LIMIT :limit");
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(values.as_slice(), read)?;
    rows.map(|row| row.map_err(StoreError::from)?).collect()
}

/// The row of one key.
pub(super) fn find(connection: &Connection, id: &ApiKeyId) -> Result<Option<LedgerRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys WHERE api_key_id = ?1"))?;
    let row = statement.query_row([id.to_string()], read).optional()?;
    Ok(row.transpose()?.map(|(_, row)| row))
}

/// What a row says; the outer error is SQLite's, the inner one a row that bulla did not write.
fn read(row: &Row<'_>) -> rusqlite::Result<Result<(i64, LedgerRow), StoreError>> {
    let (seq, id, app_id): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (scopes, meta): (String, String) = (row.get(7)?, row.get(8)?);
    let (version, name, issued_at, expires_at) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get::<_, Option<i64>>(6)?);
    let issued_by = row.get(9)?;
    let parse = || -> Option<LedgerRow> {
        let id: ApiKeyId = id.parse().ok()?;
        Some(LedgerRow {
            id,
            realm: id.realm(),
            app_id: app_id.parse().ok()?,
            version,
            name,
            issued_at: Timestamp::from_second(issued_at).ok()?,
            expires_at: expires_at.map(Timestamp::from_second).transpose().ok()?,
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            meta: serde_json::from_str(&meta).ok()?,
            issued_by,
        })
    };
    let damaged = || StoreError::Failed(format!("row {seq} of the ledger is damaged: restore the store from a backup"));
    Ok(parse().map(|row| (seq, row)).ok_or_else(damaged))
}
