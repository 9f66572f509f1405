//! Removing a set of imported keys that was imported wrongly: only while none of its keys was used. Keys that ended
//! here stay on record: only so does another import find them ended.

use jiff::Timestamp;
use serde_json::json;

use super::{ActionError, Actor};
use crate::store::{RemovedSet, Store, StoredSet, transact};

/// Removes the keys of a set that did not end here.
pub(crate) fn remove(
    store: &dyn Store,
    actor: &Actor,
    set: &StoredSet,
    now: Timestamp,
) -> Result<RemovedSet, ActionError> {
    transact(store, |transaction| {
        let removed = transaction.remove_imported_set(set.number)?;
        let removed = removed.ok_or_else(|| {
            ActionError::Conflict(
                "keys of this set were used or replaced, so their owners rely on it: revoke the ones that are wrong, or \
                 import corrected rows that replace them"
                    .to_owned(),
            )
        })?;
        let RemovedSet { removed: count, kept } = removed;
        let detail = json!({"set": set.number, "removed": count, "kept": kept, "rule": set.layout});
        transaction.append_audit(&actor.record(now, "keys.import_remove", Some(set.realm.to_string()), detail))?;
        Ok(removed)
    })
}
