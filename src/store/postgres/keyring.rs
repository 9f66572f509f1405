//! The memory of keyrings.

use std::collections::HashMap;

use bulla::keyring::{KeyVersion, KeyringId, KeyringMemory};

use super::{params::params, session::Session};
use crate::store::StoreError;

/// The memory of each keyring.
pub(super) fn memories(session: &Session) -> Result<HashMap<KeyringId, KeyringMemory>, StoreError> {
    let mut memories: HashMap<KeyringId, KeyringMemory> = HashMap::new();
    // One statement, so that serials and versions are of one moment.
    let rows = session.query(
        "SELECT keyring_id, serial, NULL::bigint AS version FROM bulla.keyring_memory
         UNION ALL SELECT keyring_id, NULL, version FROM bulla.keyring_burned ORDER BY version NULLS FIRST",
        &[],
    )?;
    for row in &rows {
        let text: &str = row.get(0);
        let id: KeyringId = text.parse().map_err(|_| {
            StoreError::Failed(format!("the memory of keyrings has `{text}`, which is not a keyring id"))
        })?;
        let memory = memories.entry(id).or_default();
        let (serial, version): (Option<i64>, Option<i64>) = (row.get(1), row.get(2));
        memory.serial = serial.map_or(memory.serial, i64::unsigned_abs);
        memory.closed.extend(version.and_then(|version| KeyVersion::new(u32::try_from(version).ok()?)));
    }
    Ok(memories)
}

/// Remembers more of a keyring.
pub(super) fn remember(session: &Session, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
    let id = id.to_string();
    session.execute(
        "INSERT INTO bulla.keyring_memory AS known (keyring_id, serial) VALUES ($1, $2)
         ON CONFLICT (keyring_id) DO UPDATE SET serial = greatest(known.serial, excluded.serial)",
        &params![id, i64::try_from(seen.serial).unwrap_or(i64::MAX)],
    )?;
    let closed: Vec<i64> = seen.closed.iter().map(|version| i64::from(version.number())).collect();
    session.execute(
        "INSERT INTO bulla.keyring_burned (keyring_id, version) SELECT $1, unnest($2) ON CONFLICT DO NOTHING",
        &params![id, closed],
    )?;
    Ok(())
}
