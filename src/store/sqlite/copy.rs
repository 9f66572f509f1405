//! Reads rows as they are, for a copy of the store.

use rusqlite::{
    Connection, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::SqliteStore;
use crate::store::{
    StoreError,
    copy::{Head, RawRow, Source, Table, Value},
};

impl Source for SqliteStore {
    fn head(&self) -> Result<Head, StoreError> {
        head(&*self.reader()?)
    }

    fn rows(&self, table: &Table) -> Result<u64, StoreError> {
        rows(&*self.counter()?, table)
    }

    fn page(&self, table: &Table, behind: Option<&[Value]>, limit: usize) -> Result<Vec<RawRow>, StoreError> {
        page(&*self.reader()?, table, behind, limit)
    }
}

/// What is in no row.
fn head(connection: &Connection) -> Result<Head, StoreError> {
    let number = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    // The latest number that was given, or that a row has.
    let latest = |table: &str| {
        number(&format!(
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0),
                        coalesce((SELECT max(seq) FROM {table}), 0))"
        ))
    };
    Ok(Head {
        log_id: connection.query_row("SELECT log_id FROM revocation_log", [], |row| row.get(0))?,
        key: number("SELECT coalesce(max(seq), 0) FROM api_keys")?,
        revocation: latest("revocations")?,
        secret: latest("secret_hashes")?,
        sweep_clock: number("SELECT coalesce(max(at), 0) FROM sweep_clock")?,
    })
}

/// How many rows a table has.
fn rows(connection: &Connection, table: &Table) -> Result<u64, StoreError> {
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// At most `limit` rows behind the one with this key.
fn page(
    connection: &Connection,
    table: &Table,
    behind: Option<&[Value]>,
    limit: usize,
) -> Result<Vec<RawRow>, StoreError> {
    let (names, key) = (table.names(), table.key_names());
    let places = vec!["?"; table.key].join(", ");
    let after = behind.map_or(String::new(), |_| format!("WHERE ({key}) > ({places})"));
    let mut query = connection
        .prepare_cached(&format!("SELECT {names} FROM {} {after} ORDER BY {key} LIMIT {limit}", table.name))?;
    let mut rows = query.query(params_from_iter(behind.unwrap_or_default().iter()))?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..table.columns.len()).map(|column| Ok(value(row.get_ref(column)?)));
        page.push(values.collect::<Result<RawRow, StoreError>>()?);
    }
    Ok(page)
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        // No column of a strict table holds one.
        ValueRef::Real(number) => Value::Text(number.to_string()),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
