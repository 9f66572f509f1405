//! Imported keys, followed in the store: all of them at the start, and later what another process imported.

use super::App;
use crate::{
    config::Config,
    deployment::DeploymentError,
    imported::{HmacKey, Known, Set},
    store::Store,
};

/// Rows that are read at a time.
const CHUNK: u32 = 10_000;

/// Reads what the store has more than `known`.
pub(crate) fn read_on(known: &Known, store: &dyn Store, config: &Config) -> Result<(), DeploymentError> {
    let end = store.imported_end()?;
    if end < known.place() {
        // Another store in this one's place, as a rule a backup.
        tracing::warn!(read = known.place(), end, "the imported keys were replaced: they are read anew");
        known.restart();
    }
    while known.place() < end {
        let rows = store.imported_after(known.place(), CHUNK)?;
        if rows.is_empty() {
            return Ok(());
        }
        if rows.iter().any(|row| !known.has_set(row.set)) {
            for set in store.imported_sets()?.into_iter().filter(|set| !known.has_set(set.number)) {
                let hmac_key = HmacKey::of(&set.rule, config)?;
                let (number, realm, rule, id_key) = (set.number, set.realm, set.rule, set.id_key);
                known.add_set(Set { number, realm, rule, id_key, hmac_key });
            }
        }
        known.add(rows);
    }
    Ok(())
}

impl App {
    /// Reads what was imported since the last look.
    pub(super) fn follow_imported(&self) -> Result<(), DeploymentError> {
        let before = self.imported.len();
        read_on(&self.imported, &*self.store, &self.snapshot().config)?;
        let imported = self.imported.len();
        if imported != before {
            tracing::info!(imported, "imported keys loaded");
        }
        Ok(())
    }
}
