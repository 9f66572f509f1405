//! Reading imported keys from the store into memory.

use std::sync::Arc;

use bulla::Realm;

use crate::{
    config::Config,
    imported::{ImportedKeys, OldSecretError, Set, Table},
    store::{Store, StoreError, StoredSet},
};

/// Rows that are read at a time.
const CHUNK: u32 = 10_000;

/// The imported keys cannot be read. All is in force that can be, also where a secret is missing.
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
///
/// A set whose secret cannot be read keeps the one that it had. Without one its keys are on record and cannot be checked
/// until a later call reads it; this one fails when all else is in force.
pub(crate) fn read_imported_keys(
    known: &ImportedKeys,
    store: &dyn Store,
    config: &Config,
    read_log: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), ImportedKeysError> {
    let _turn = known.read_alone();
    let (end, table) = (store.imported_end()?, known.table());
    if end.place >= table.place() && end.changes == table.changes() {
        catch_up(&table, end.place, (store, config), &table, read_log)?;
        return Ok(supply_secrets(&table, config)?);
    }
    if table.place() > 0 {
        tracing::info!(read = table.place(), end = end.place, "the imported keys were changed: they are read anew");
    }
    let anew = Table::new(end.changes);
    catch_up(&anew, end.place, (store, config), &table, read_log)?;
    let supplied = supply_secrets(&anew, config);
    known.replace(anew);
    Ok(supplied?)
}

/// Reads the secrets that could not be read before.
fn supply_secrets(table: &Table, config: &Config) -> Result<(), OldSecretError> {
    let mut supplied = Ok(());
    for set in table.without_secret() {
        match set.layout.open_secret(config) {
            Ok(secret) => table.supply(set.number, secret),
            Err(error) => supplied = supplied.and(Err(error)),
        }
    }
    supplied
}

fn catch_up(
    known: &Table,
    end: i64,
    (store, config): (&dyn Store, &Config),
    before: &Table,
    read_log: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), ImportedKeysError> {
    while known.place() < end {
        let part = store.imported_after(known.place(), CHUNK)?;
        let Some(through) = part.through else { return Ok(()) };
        if part.rows.iter().any(|row| !known.has_set(row.set)) {
            for set in store.imported_sets()?.into_iter().filter(|set| !known.has_set(set.number)) {
                known.add_set(with_secret(set, config, before));
            }
        }
        read_log()?;
        known.add(&part.rows);
        known.pass(through, part.damaged);
    }
    Ok(())
}

/// The set with its secret, or with the one that it had `before`.
fn with_secret(set: StoredSet, config: &Config, before: &Table) -> Set {
    let (opened, number) = (set.layout.open_secret(config), set.number);
    let mut set = Set::new(set.number, set.realm, set.layout, set.id_key, None);
    match opened {
        Ok(secret) => set.secret = secret.map(Arc::new),
        Err(error) => {
            set.secret = before.secret_of(&set);
            if set.secret.is_some() {
                tracing::warn!(set = number, %error, "secret of imported keys unreadable, the loaded one stays");
            }
        }
    }
    set
}
