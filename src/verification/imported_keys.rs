//! Imported keys on their way from the store into memory.

use bulla::Realm;

use crate::{
    config::Config,
    imported::{HmacKey, HmacKeyError, ImportedKeys, Set},
    store::{Store, StoreError},
};

/// Rows that are read at a time.
const CHUNK: u32 = 10_000;

/// The imported keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportedKeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    HmacKey(#[from] HmacKeyError),
}

/// The realms that accept imported keys.
pub(crate) fn importing_realms(config: &Config) -> Vec<Realm> {
    let importing = |realm: &Realm| config.realms.get(realm.as_str()).is_some_and(|policy| policy.accepts_imported());
    config.all_realms().into_iter().filter(importing).collect()
}

/// Reads what the store has more than `known`.
pub(crate) fn read_imported_keys(
    known: &ImportedKeys,
    store: &dyn Store,
    config: &Config,
) -> Result<(), ImportedKeysError> {
    let end = store.imported_end()?;
    if end < known.place() {
        // Another store in this one's place, as a rule a backup.
        tracing::warn!(read = known.place(), end, "the imported keys were replaced: they are read anew");
        known.restart();
    }
    while known.place() < end {
        let part = store.imported_after(known.place(), CHUNK)?;
        let Some(through) = part.through else { return Ok(()) };
        let rows = part.rows;
        if rows.iter().any(|row| !known.has_set(row.set)) {
            for set in store.imported_sets()?.into_iter().filter(|set| !known.has_set(set.number)) {
                let hmac_key = HmacKey::of(&set.layout, config)?;
                let (number, realm, layout, id_key) = (set.number, set.realm, set.layout, set.id_key);
                known.add_set(Set { number, realm, layout, id_key, hmac_key });
            }
        }
        known.add(rows);
        known.pass(through, part.damaged);
    }
    Ok(())
}
