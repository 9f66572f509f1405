//! Finds how many steps of the schema a store has had where it does not say so: a dump of SQL has everything but the
//! number.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::STEPS;
use crate::store::StoreError;

/// The number of steps whose tables, columns, indices and triggers are there; 0 in an empty store.
pub(super) fn steps_in(store: &Connection) -> Result<i64, StoreError> {
    let mut made = vec![BTreeSet::new()];
    let model = Connection::open_in_memory()?;
    for step in STEPS {
        model.execute_batch(step)?;
        made.push(names(&model)?);
    }
    // Indices and views that an administrator added do not count.
    let all: BTreeSet<_> = made.iter().flatten().cloned().collect();
    let found: BTreeSet<_> = names(store)?.intersection(&all).cloned().collect();
    if let Some(steps) = (0..).zip(&made).find_map(|(steps, made)| (*made == found).then_some(steps)) {
        return Ok(steps);
    }
    Err(StoreError::Failed(
        "it does not say which version of the schema it has (`PRAGMA user_version` is 0), and its tables fit no version: a \
         dump of SQL was not read in to its end; use a copy made by `.backup`"
            .to_owned(),
    ))
}

/// Every name that the schema makes, columns with their tables.
fn names(connection: &Connection) -> Result<BTreeSet<String>, StoreError> {
    let mut query = connection.prepare(
        "SELECT schema.type || ' ' || schema.name || ' ' || coalesce(field.name, '')
         FROM sqlite_schema AS schema LEFT JOIN pragma_table_info(schema.name) AS field
         WHERE schema.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
