//! Reads rows as they are, for a copy of the store.

use rusqlite::{
    Connection, Row, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::{SqliteStore, moved};
use crate::store::{
    StoreError,
    copy::{Head, Kind, RawRow, Source, Table, Value, shown},
    moved::Moved,
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

    fn moved(&self) -> Result<Option<Moved>, StoreError> {
        moved::read(&*self.reader()?)
    }

    fn mark_moved(&self, moved: &Moved) -> Result<(), StoreError> {
        self.write(|connection| moved::mark(connection, moved))
    }

    fn unmark_moved(&self) -> Result<(), StoreError> {
        self.write_even_moved(moved::unmark)
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
        let mut values = RawRow::with_capacity(table.columns.len());
        for (at, (_, kind)) in table.columns.iter().enumerate() {
            let Some(value) = value(row.get_ref(at)?, *kind) else {
                return Err(StoreError::Damaged(table.name, key_of(row, table)?));
            };
            values.push(value);
        }
        page.push(values);
    }
    Ok(page)
}

/// A value, unless it is damaged: of another kind than its column, or no text that another store could hold. What was
/// made readable on the way would pass for what it was.
fn value(value: ValueRef<'_>, kind: Kind) -> Option<Value> {
    match (value, kind) {
        (ValueRef::Null, _) => Some(Value::Null),
        (ValueRef::Integer(number), Kind::Integer) => Some(Value::Integer(number)),
        (ValueRef::Text(text), Kind::Text) => {
            let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'))?;
            Some(Value::Text(text.to_owned()))
        }
        (ValueRef::Blob(bytes), Kind::Bytes) => Some(Value::Bytes(bytes.to_vec())),
        _ => None,
    }
}

/// The key of a damaged row, as far as it is readable.
fn key_of(row: &Row<'_>, table: &Table) -> Result<String, StoreError> {
    let key = table.columns.iter().take(table.key).enumerate();
    let key = key.map(|(at, (_, kind))| Ok(value(row.get_ref(at)?, *kind).unwrap_or(Value::Null)));
    Ok(shown(&key.collect::<Result<RawRow, StoreError>>()?))
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
