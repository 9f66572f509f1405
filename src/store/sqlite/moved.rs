//! The mark of a store that moved. Who opens the store looks for it, and so does each write and each reading of the
//! revocation log: a process that has had the store open since before must notice it, too.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, lock};
use crate::store::{StoreError, moved::Moved};

impl SqliteStore {
    /// Opens the store, unless it moved.
    pub(in crate::store) fn open(path: &Path, create: bool) -> Result<Self, StoreError> {
        let store = Self::open_source(path, create)?;
        refuse(&lock(&store.reader), path)?;
        Ok(store)
    }

    /// Writes in one transaction, unless the store moved.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.write_even_moved(|connection| {
            refuse(connection, &self.path)?;
            work(connection)
        })
    }
}

/// Fails for a store that moved.
pub(super) fn refuse(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    read(connection)?.map_or(Ok(()), |moved| Err(moved.error(path.display().to_string())))
}

/// The mark, if there is one.
pub(super) fn read(connection: &Connection) -> Result<Option<Moved>, StoreError> {
    let mut query = connection.prepare_cached("SELECT target, mark, at FROM store_moved")?;
    let moved = query.query_row([], |row| Ok(Moved::stored(row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(moved.optional()?)
}

/// Marks the store.
pub(super) fn mark(connection: &Connection, moved: &Moved) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO store_moved (id, target, mark, at) VALUES (1, ?1, ?2, ?3)",
        params![moved.to, moved.mark, moved.at.as_second()],
    )?;
    Ok(())
}

/// Removes the mark.
pub(super) fn unmark(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM store_moved", [])?;
    Ok(())
}
