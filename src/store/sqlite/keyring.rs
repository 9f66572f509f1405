//! The memory of keyrings.

use bulla::keyring::{KeyringId, KeyringMemory};
use rusqlite::{Connection, params};

use crate::store::{KeyringMemories, StoreError};

/// The memory of each keyring.
pub(super) fn memories(connection: &mut Connection) -> Result<KeyringMemories, StoreError> {
    let transaction = connection.transaction()?;
    let mut memories = KeyringMemories::default();
    let mut serials = transaction.prepare("SELECT CAST(keyring_id AS BLOB), serial FROM keyring_memory")?;
    let mut rows = serials.query([])?;
    while let Some(row) = rows.next()? {
        memories.add_serial(row.get_ref(0)?.as_blob().unwrap_or_default(), row.get(1)?);
    }
    let mut closed =
        transaction.prepare("SELECT CAST(keyring_id AS BLOB), version FROM keyring_burned ORDER BY version")?;
    let mut rows = closed.query([])?;
    while let Some(row) = rows.next()? {
        memories.add_closed(row.get_ref(0)?.as_blob().unwrap_or_default(), row.get(1)?);
    }
    Ok(memories)
}

/// Remembers more of a keyring.
pub(super) fn remember(connection: &Connection, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
    let id = id.to_string();
    connection.execute(
        "INSERT INTO keyring_memory (keyring_id, serial) VALUES (?1, ?2)
         ON CONFLICT (keyring_id) DO UPDATE SET serial = max(serial, excluded.serial)",
        params![id, i64::try_from(seen.serial).unwrap_or(i64::MAX)],
    )?;
    for version in &seen.closed {
        connection.execute(
            "INSERT OR IGNORE INTO keyring_burned (keyring_id, version) VALUES (?1, ?2)",
            params![id, version.number()],
        )?;
    }
    Ok(())
}
