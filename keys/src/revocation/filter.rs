//! The filter in front of all tables: it answers nearly every question about an absent key from one line of memory,
//! which is one step away from the state, so that a look-up can have it fetched before it has time to look.
//!
//! States share it with those that come of them. A change sets its keys' bits in the words that older states look at
//! too, before there is a state that needs them; an older one merely sees a few bits too many and looks into its tables
//! in vain. No bit is ever taken out of a word: what is removed stays until its segment is made anew, which only the
//! new state has.
//!
//! So access to the words need not be ordered. A reader gets a state from the thread that made it through a swap or a
//! lock, which orders memory, and the bits of the state were set before.

#[cfg(test)]
mod tests;

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use super::{
    entry::{FAN, block},
    segment::Segment,
};

/// Keys of a segment, on average, at most: making one anew is what a single change may have to wait for.
const MAX_KEYS: usize = 16 * 1024;

/// Segments by the first bits of the hash, a power of two of them; none where nothing was ever added.
#[derive(Clone, Default)]
pub(super) struct Filter {
    // After doubling, two neighbours are the same until one of them is full.
    segments: Arc<[Segment]>,
}

/// The keys that a filter is for.
pub(super) trait Keys {
    fn count(&self) -> usize;

    /// The hashes that lie in this range, whose length is a power of two and which begins at a multiple of it.
    fn hashes(&self, range: &RangeInclusive<u64>) -> Vec<u64>;
}

impl Filter {
    /// A filter of these keys.
    pub(super) fn new(keys: &impl Keys) -> Self {
        let mut filter = Filter::default();
        if keys.count() > 0 {
            filter.widen(keys);
            (0..filter.segments.len()).for_each(|at| filter.renew(at, keys));
        }
        filter
    }

    #[inline]
    pub(super) fn is_blank(&self) -> bool {
        self.segments.is_empty()
    }

    /// Has the processor fetch the line of the key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(segment) = self.segments.get(self.at(hash)) {
            segment.prefetch(hash);
        }
    }

    /// False only for a key that is not there.
    #[inline]
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.segments.get(self.at(hash)).is_some_and(|segment| segment.may_hold(hash))
    }

    /// After these keys were added. All `keys` include them.
    pub(super) fn with(&self, added: &[u64], keys: &impl Keys) -> Self {
        if added.len() > keys.count() / 2 || self.is_too_wide(keys) {
            return Self::new(keys);
        }
        let mut next = self.clone();
        for hash in added {
            if !next.segments.get(next.at(*hash)).is_some_and(|segment| segment.add(*hash)) {
                next.widen(keys);
                next.renew(next.at(*hash), keys);
            }
        }
        next
    }

    /// After keys of these parts of `FAN` were removed: those that are left.
    pub(super) fn without(&self, parts: Range<usize>, keys: &impl Keys) -> Self {
        if parts.len() == FAN || self.is_too_wide(keys) {
            return Self::new(keys);
        }
        let (mut next, count) = (self.clone(), self.segments.len());
        for at in parts.start * count / FAN..(parts.end * count).div_ceil(FAN) {
            next.renew(at, keys);
        }
        next
    }

    /// The bytes of memory behind it.
    pub(super) fn memory(&self) -> usize {
        let segments = self.segments.chunk_by(Segment::is).map(|same| same[0].memory());
        block(16 + size_of_val::<[Segment]>(&self.segments)) + segments.sum::<usize>()
    }

    #[inline]
    fn at(&self, hash: u64) -> usize {
        (((hash >> 32) * self.segments.len() as u64) >> 32) as usize
    }

    /// Doubles the segments until they are enough.
    fn widen(&mut self, keys: &impl Keys) {
        let enough = keys.count().div_ceil(MAX_KEYS).next_power_of_two();
        if self.segments.is_empty() {
            self.segments = Arc::new([Segment::new(&[])]);
        }
        let times = enough / self.segments.len();
        if times > 1 {
            self.segments =
                self.segments.iter().flat_map(|segment| std::iter::repeat_n(segment.clone(), times)).collect();
        }
    }

    /// Returns whether nearly all keys are gone that its segments are there for.
    fn is_too_wide(&self, keys: &impl Keys) -> bool {
        keys.count() < self.segments.len().saturating_sub(1) * MAX_KEYS / 16 || keys.count() == 0
    }

    /// Makes a segment anew, of the keys that are there now.
    fn renew(&mut self, at: usize, keys: &impl Keys) {
        let last = u64::MAX >> self.segments.len().ilog2();
        let first = at as u64 * last.wrapping_add(1);
        Arc::make_mut(&mut self.segments)[at] = Segment::new(&keys.hashes(&(first..=first + last)));
    }
}
