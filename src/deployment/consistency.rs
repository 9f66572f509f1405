//! Checks that the store is that of the keyring, and that neither is mounted without its folder. The service logs the
//! findings at its start, and `bulla doctor` prints them.

use std::{collections::HashMap, path::Path};

use bulla::keyring::{KeyringDocument, KeyringId, KeyringMemory};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::Deployment;
use crate::{
    clock,
    store::{LedgerFilter, Store, StoreError},
};

/// How much later than its keyring a store may begin: an administrator who sets up both by hand takes some time.
const SET_UP: SignedDuration = SignedDuration::from_hours(24);

/// A store that seems to have replaced a lost one.
pub(crate) struct Younger {
    pub(crate) text: String,
    /// Whether there is no other explanation.
    pub(crate) certain: bool,
}

/// Logs at the start what doctor prints, too: it may not have been run.
pub(crate) fn warn(
    deployment: &Deployment,
    document: &KeyringDocument,
    store: &dyn Store,
    now: Timestamp,
) -> Result<(), StoreError> {
    let younger = younger_store(document, store, now)?.map(|younger| younger.text);
    for trouble in younger.into_iter().chain(lone_mounts(deployment)) {
        tracing::warn!("{trouble}");
    }
    Ok(())
}

/// The warning where the store knows other keyrings than this one.
pub(crate) fn other_keyrings(document: &KeyringDocument, known: &HashMap<KeyringId, KeyringMemory>) -> Option<String> {
    let mut others: Vec<String> = known.keys().filter(|id| **id != document.id()).map(ToString::to_string).collect();
    others.sort();
    (!others.is_empty()).then(|| {
        format!(
            "the store also knows the keyring {}, and this one is {}: API keys that were issued under another keyring are \
             rejected. If this one is here by mistake, put the right one back from the backup",
            others.join(", "),
            document.id()
        )
    })
}

/// The warning where the store begins later than the keyring: keys that were revoked before are accepted again.
pub(crate) fn younger_store(
    document: &KeyringDocument,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Option<Younger>, StoreError> {
    let Some(made) = document.versions().iter().map(|record| clock::timestamp(record.created_at)).min() else {
        return Ok(None);
    };
    let first_record = store.audit_after(0, 1)?.first().map(|entry| entry.record.at);
    let first_key = store.list(&LedgerFilter { limit: 1, ..LedgerFilter::default() })?;
    let first_key = first_key.first().map(|entry| entry.row.issued_at);
    const RESTORE: &str = "if there was another one, put it back from the backup (docs/RECOVERY.md, \"A restored backup\"): \
                           what was revoked in it is accepted again, and no secret half can be checked";
    Ok(match [first_record, first_key].into_iter().flatten().min() {
        None => Some(Younger {
            text: format!("the store is empty, and the keyring is from {made}: {RESTORE}"),
            certain: now.duration_since(made) > SET_UP,
        }),
        Some(first) if first.duration_since(made) > SET_UP => Some(Younger {
            text: format!("the store begins at {first}, and the keyring is from {made}: {RESTORE}"),
            certain: false,
        }),
        Some(_) => None,
    })
}

/// The warnings where store or keyring is mounted without its folder.
pub(crate) fn lone_mounts(deployment: &Deployment) -> Vec<String> {
    let store = deployment.store_path().filter(|path| is_mounted_alone(path)).map(|path| {
        format!(
            "{} is mounted without its folder: the latest changes, revocations among them, are in {0}-wal beside it, which is \
             elsewhere and goes with the container. Mount the folder",
            path.display()
        )
    });
    let keyring = deployment.keyring_path().ok().filter(|path| is_mounted_alone(path)).map(|path| {
        format!(
            "{} is mounted without its folder: no change of the keyring can be written here, and one that is put in its place \
             outside is not seen here. Mount the folder",
            path.display()
        )
    });
    store.into_iter().chain(keyring).collect()
}

/// Returns whether a file is the root of a mount, as far as the system tells.
fn is_mounted_alone(path: &Path) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.is_file()
        && statx(CWD, &path, AtFlags::empty(), StatxFlags::empty()).is_ok_and(|found| {
            found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
                && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        })
}
