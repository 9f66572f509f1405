//! A segment of the filter: some thousand keys, of which each sets a few bits of one line.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::entry::block;
use crate::vector;

/// Keys per line, at most: 15 bits for each, of which it sets six. Of a thousand absent keys two pass for present, and
/// each of these costs several misses of the cache. Yet longer segments cost more than they spare, as more of them is
/// in no cache.
const KEYS_PER_LINE: usize = 34;

/// Lines of the shortest segment, so that the first keys of a list do not each ask for a new one.
const FEWEST_LINES: usize = 2;

const WORDS: usize = 8;

/// What the processor fetches at once.
#[derive(Default)]
#[repr(align(64))]
struct CacheLine([AtomicU64; WORDS]);

/// Its bits are only ever set. Clones share them.
#[derive(Clone)]
pub(super) struct Segment {
    /// The bits; and last, in a line of its own, the number of keys that set some.
    lines: Arc<[CacheLine]>,
}

/// Where the bits of a key are: a line, and two of its words.
struct KeyBits {
    line: usize,
    words: [(usize, u64); 2],
}

impl Segment {
    /// A segment of these keys, with room for an eighth more.
    pub(super) fn new(hashes: &[u64]) -> Self {
        let lines = (hashes.len() + hashes.len() / 8).div_ceil(KEYS_PER_LINE).max(FEWEST_LINES);
        let segment = Segment { lines: (0..=lines).map(|_| CacheLine::default()).collect() };
        for hash in hashes {
            let place = segment.place(*hash);
            for (word, bits) in place.words {
                let word = &segment.lines[place.line].0[word];
                // Nobody else has it yet, so this need not be one step.
                word.store(word.load(Relaxed) | bits, Relaxed);
            }
        }
        segment.added().store(hashes.len() as u64, Relaxed);
        segment
    }

    /// Adds a key, in all clones; false where there is no room, and it is in none.
    pub(super) fn add(&self, hash: u64) -> bool {
        if self.added().load(Relaxed) >= ((self.lines.len() - 1) * KEYS_PER_LINE) as u64 {
            return false;
        }
        let place = self.place(hash);
        let line = &self.lines[place.line].0;
        let set = |(word, bits): (usize, u64)| line[word].fetch_or(bits, Relaxed) & bits != bits;
        if place.words.map(set).contains(&true) {
            self.added().fetch_add(1, Relaxed);
        }
        true
    }

    /// Has the processor fetch the line of the key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        vector::prefetch(&self.lines[self.place(hash).line]);
    }

    /// False only for a key that was never added.
    #[inline]
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let place = self.place(hash);
        let line = &self.lines[place.line].0;
        let missing = |(word, bits): (usize, u64)| bits & !line[word].load(Relaxed);
        let [first, second] = place.words.map(missing);
        first | second == 0
    }

    pub(super) fn is(&self, other: &Segment) -> bool {
        Arc::ptr_eq(&self.lines, &other.lines)
    }

    pub(super) fn memory(&self) -> usize {
        block(size_of::<CacheLine>() + size_of_val::<[CacheLine]>(&self.lines))
    }

    fn added(&self) -> &AtomicU64 {
        &self.lines[self.lines.len() - 1].0[0]
    }

    #[inline]
    fn place(&self, hash: u64) -> KeyBits {
        // The hash's first digits are the same for all keys of a segment; multiplied, every bit of it reaches the top.
        let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let line = (spread * (self.lines.len() - 1) as u64) >> 32;
        let bits = |from: u32| (0..3).fold(0, |bits, turn| bits | 1 << ((hash >> (from + 6 * turn)) & 63));
        let word = |from: u32| (hash >> from) as usize % (WORDS / 2);
        KeyBits { line: line as usize, words: [(word(36), bits(0)), (WORDS / 2 + word(38), bits(18))] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A good hash of 0, 1, 2 and so on.
    fn hash(number: u64) -> u64 {
        let mixed = (number + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb).rotate_left(32)
    }

    #[test]
    fn a_full_segment_holds_every_key_and_passes_two_in_a_thousand_others() {
        let segment = Segment::new(&(0..8_000).map(hash).collect::<Vec<_>>());
        let added = (8_000..).take_while(|number| segment.add(hash(*number))).count() as u64;
        assert!((1_000..1_060).contains(&added), "{added}: room for an eighth more");
        assert!((0..8_000 + added).all(|number| segment.may_hold(hash(number))));
        let passed = (20_000..120_000).filter(|number| segment.may_hold(hash(*number))).count();
        assert!(passed < 250, "{passed} of 100,000");
    }

    #[test]
    fn a_key_that_comes_again_takes_no_room() {
        let segment = Segment::new(&[]);
        assert!((0..1_000).all(|_| segment.add(hash(1))));
        let clone = segment.clone();
        assert!(clone.add(hash(2)) && segment.may_hold(hash(2)), "clones share their bits");
    }
}
