//! Reading imported keys from the store into memory.

use bulla::Realm;

use crate::{
    config::Config,
    imported::{ImportedKeys, OldSecretError, Set, Table},
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
    OldSecret(#[from] OldSecretError),
}

/// The realms that accept imported keys.
pub(crate) fn importing_realms(config: &Config) -> Vec<Realm> {
    let importing = |realm: &Realm| config.realms.get(realm.as_str()).is_some_and(|policy| policy.accepts_imported());
    config.all_realms().into_iter().filter(importing).collect()
}

/// Reads what the store has more than `known`; all of it, where rows were changed or removed. A row that comes with an
/// entry of the revocation log may not count before that entry does: `read_log` runs after rows are read, and before
/// they are in force.
pub(crate) fn read_imported_keys(
    known: &ImportedKeys,
    store: &dyn Store,
    config: &Config,
    read_log: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), ImportedKeysError> {
    let (end, table) = (store.imported_end()?, known.table());
    if end.place >= table.place() && end.changes == table.changes() {
        return catch_up(&table, end.place, (store, config), read_log);
    }
    if table.place() > 0 {
        tracing::info!(read = table.place(), end = end.place, "the imported keys were changed: they are read anew");
    }
    let table = Table::new(end.changes);
    catch_up(&table, end.place, (store, config), read_log)?;
    known.replace(table);
    Ok(())
}

fn catch_up(
    known: &Table,
    end: i64,
    (store, config): (&dyn Store, &Config),
    read_log: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), ImportedKeysError> {
    while known.place() < end {
        let part = store.imported_after(known.place(), CHUNK)?;
        let Some(through) = part.through else { return Ok(()) };
        if part.rows.iter().any(|row| !known.has_set(row.set)) {
            for set in store.imported_sets()?.into_iter().filter(|set| !known.has_set(set.number)) {
                let secret = set.layout.open_secret(config)?;
                known.add_set(Set::new(set.number, set.realm, set.layout, set.id_key, secret));
            }
        }
        read_log()?;
        known.add(&part.rows);
        known.pass(through, part.damaged);
    }
    Ok(())
}
