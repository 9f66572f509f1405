//! The imported keys in memory, found by the public part or the digest of a presented text.
//!
//! Keys are added in parts. A revoked one is on the revocation list like any other, so nothing is removed; where the
//! store changed or removed rows, all are read into a new table, which takes the place of the old one at once.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Candidate, Table};

/// All imported keys.
#[derive(Default)]
pub(crate) struct ImportedKeys(ArcSwap<Table>);

impl ImportedKeys {
    /// The table in force.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// Puts another table in force.
    pub(crate) fn replace(&self, table: Table) {
        self.0.store(Arc::new(table));
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.0.load().len()
    }

    /// The number of rows whose keys are rejected.
    pub(crate) fn unusable(&self) -> usize {
        self.0.load().unusable()
    }

    /// Returns whether there is a set whose digests are slow.
    pub(crate) fn has_slow_digests(&self) -> bool {
        self.0.load().has_slow_digests()
    }

    /// The keys that `text` may be, and those that slow digests find, which takes milliseconds.
    pub(crate) fn recognize_slowly(&self, text: &str) -> Vec<Candidate> {
        let table = self.table();
        let mut found = table.recognize(text);
        for slow in table.slow_texts(text) {
            found.extend(slow.digest().map(|digest| table.find_slow(&slow, &digest)).unwrap_or_default());
        }
        found
    }

    /// The keys that `text` may be: whether it is, their checks tell.
    pub(crate) fn recognize(&self, text: &str) -> Vec<Candidate> {
        self.0.load().recognize(text)
    }
}
