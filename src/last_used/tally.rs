//! Counts uses by id, in a batch for the store.

use std::{hash::BuildHasher, mem};

use bulla::ApiKeyId;
use hashbrown::{DefaultHashBuilder, HashTable};

/// The uses of one API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) id: ApiKeyId,
    /// In Unix seconds.
    pub(crate) last_used: u64,
    /// How many of them.
    pub(crate) count: u64,
}

/// The batch itself, and a table of places in it: a flush then hands the batch over as it lies, and the empty places of
/// the table cost 5 bytes and not a whole `Use`.
pub(super) struct Tally {
    uses: Vec<Use>,
    places: HashTable<u32>,
    // Keyed at random, so that nobody can choose ids that crowd one place of the table.
    hasher: DefaultHashBuilder,
    most: usize,
}

impl Tally {
    /// Holds `most` ids.
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(u32::MAX as usize);
        Tally { uses: Vec::new(), places: HashTable::new(), hasher: DefaultHashBuilder::default(), most }
    }

    /// Adds to the id's count; `false` for a new id beyond the bound.
    pub(super) fn add(&mut self, more: Use) -> bool {
        let Tally { uses, places, hasher, most } = self;
        let hash = hasher.hash_one(more.id);
        if let Some(&place) = places.find(hash, |&place| uses[place as usize].id == more.id) {
            let known = &mut uses[place as usize];
            known.last_used = known.last_used.max(more.last_used);
            known.count = known.count.saturating_add(more.count);
            return true;
        }
        if uses.len() >= *most {
            return false;
        }
        places.insert_unique(hash, uses.len() as u32, |&place| hasher.hash_one(uses[place as usize].id));
        uses.push(more);
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.uses.len()
    }

    /// Takes the batch. Counting restarts without its memory.
    pub(super) fn take(&mut self) -> Vec<Use> {
        mem::replace(self, Tally::new(self.most)).uses
    }
}
