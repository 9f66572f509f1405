//! The memory of keyrings.

use std::collections::HashMap;

use bulla::keyring::{KeyVersion, KeyringId, KeyringMemory};
use rusqlite::{Connection, Row, params};

use crate::store::StoreError;

/// The memory of each keyring.
pub(super) fn memories(connection: &mut Connection) -> Result<HashMap<KeyringId, KeyringMemory>, StoreError> {
    let transaction = connection.transaction()?;
    let mut memories: HashMap<KeyringId, KeyringMemory> = HashMap::new();
    let mut serials = transaction.prepare("SELECT keyring_id, serial FROM keyring_memory")?;
    let mut rows = serials.query([])?;
    while let Some(row) = rows.next()? {
        memories.entry(keyring_id(row)?).or_default().serial = row.get::<_, i64>(1)?.unsigned_abs();
    }
    let mut burned = transaction.prepare("SELECT keyring_id, version FROM keyring_burned ORDER BY version")?;
    let mut rows = burned.query([])?;
    while let Some(row) = rows.next()? {
        memories.entry(keyring_id(row)?).or_default().closed.extend(KeyVersion::new(row.get(1)?));
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

fn keyring_id(row: &Row<'_>) -> Result<KeyringId, StoreError> {
    let text: String = row.get(0)?;
    text.parse()
        .map_err(|_| StoreError::Failed(format!("the memory of keyrings has `{text}`, which is not a keyring id")))
}
