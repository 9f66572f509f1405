//! The imported keys in memory, found by the public part or the digest of a presented text.
//!
//! Keys are added in parts. A revoked one is on the revocation list like any other, so nothing is removed; where the
//! store changed or removed rows, all are read into a new table, which takes the place of the old one at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::{Candidate, Table};

/// All imported keys.
#[derive(Default)]
pub(crate) struct ImportedKeys {
    table: ArcSwap<Table>,
    reading: Mutex<()>,
}

impl ImportedKeys {
    /// Lets one thread read at a time: what another one began to read before must not take the place of a newer table.
    pub(crate) fn read_alone(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table in force.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Puts another table in force.
    pub(crate) fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.table.load().len()
    }

    /// The number of rows whose keys are rejected.
    pub(crate) fn unusable(&self) -> usize {
        self.table.load().unusable()
    }

    /// Returns whether there is a set whose digests are slow.
    pub(crate) fn has_slow_digests(&self) -> bool {
        self.table.load().has_slow_digests()
    }

    /// The keys that `text` may be, and those that slow digests find, which takes milliseconds; with them the numbers
    /// of the sets whose digest could not be computed.
    pub(crate) fn recognize_slowly(&self, text: &str) -> (Vec<Candidate>, Vec<i64>) {
        let table = self.table();
        let (mut found, mut unsearched) = (table.recognize(text), Vec::new());
        for slow in table.slow_texts(text) {
            match slow.digest() {
                Some(digest) => found.extend(table.find_slow(&slow, &digest)),
                None => unsearched.push(slow.set.number),
            }
        }
        (found, unsearched)
    }

    /// The keys that `text` may be: whether it is, their checks tell.
    pub(crate) fn recognize(&self, text: &str) -> Vec<Candidate> {
        self.table.load().recognize(text)
    }
}
