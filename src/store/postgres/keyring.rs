//! The memory of keyrings.

use bulla::keyring::{KeyringId, KeyringMemory};

use super::{params::params, session::Session};
use crate::store::{KeyringMemories, StoreError};

/// The memory of each keyring.
pub(super) fn memories(session: &Session) -> Result<KeyringMemories, StoreError> {
    let mut memories = KeyringMemories::default();
    // One statement, so that serials and versions are of one moment.
    let rows = session.query(
        "SELECT keyring_id, serial, NULL::bigint AS version FROM bulla.keyring_memory
         UNION ALL SELECT keyring_id, NULL, version FROM bulla.keyring_burned ORDER BY version NULLS FIRST",
        &[],
    )?;
    for row in &rows {
        let (id, serial, version): (&str, Option<i64>, Option<i64>) = (row.get(0), row.get(1), row.get(2));
        if let Some(serial) = serial {
            memories.add_serial(id.as_bytes(), serial);
        }
        if let Some(version) = version {
            memories.add_closed(id.as_bytes(), version);
        }
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
