//! A segment of the filter: some thousand keys, of which each sets a few bits of one word.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::entry::block;

/// Keys per word, at most: 21 bits for each, of which it sets five. Of a thousand absent keys two pass for present, and each
/// of these costs several misses of the cache.
const KEYS_PER_WORD: usize = 3;

/// Words of the shortest segment, so that the first keys of a list do not each ask for a new one.
const FEWEST_WORDS: usize = 8;

/// Its bits are only ever set. Clones share them.
#[derive(Clone)]
pub(super) struct Segment {
    /// The bits, and last the number of keys that set some.
    words: Arc<[AtomicU64]>,
}

impl Segment {
    /// A segment of these keys, with room for a quarter more.
    pub(super) fn new(hashes: &[u64]) -> Self {
        let length = (hashes.len() + hashes.len() / 4).div_ceil(KEYS_PER_WORD).max(FEWEST_WORDS);
        let mut words = vec![0; length];
        for hash in hashes {
            let (at, bits) = place(*hash, length);
            words[at] |= bits;
        }
        words.push(hashes.len() as u64);
        Segment { words: words.into_iter().map(AtomicU64::new).collect() }
    }

    /// Adds a key, in all clones; false where there is no room, and it is in none.
    pub(super) fn add(&self, hash: u64) -> bool {
        let Some((added, words)) = self.words.split_last() else { return false };
        if added.load(Relaxed) >= (words.len() * KEYS_PER_WORD) as u64 {
            return false;
        }
        let (at, bits) = place(hash, words.len());
        if words[at].fetch_or(bits, Relaxed) & bits != bits {
            added.fetch_add(1, Relaxed);
        }
        true
    }

    /// Has the processor fetch the word of the key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.words[place(hash, self.words.len() - 1).0]);
    }

    /// False only for a key that was never added.
    #[inline]
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let (at, bits) = place(hash, self.words.len() - 1);
        self.words[at].load(Relaxed) & bits == bits
    }

    pub(super) fn is(&self, other: &Segment) -> bool {
        Arc::ptr_eq(&self.words, &other.words)
    }

    pub(super) fn memory(&self) -> usize {
        block(16 + size_of_val::<[AtomicU64]>(&self.words))
    }
}

/// The word, of so many, and in it the bits of a key.
#[inline]
fn place(hash: u64, words: usize) -> (usize, u64) {
    // The hash's first digits are the same for all keys of a segment; multiplied, every bit of it reaches the top.
    let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let at = (spread * words as u64) >> 32;
    let bits = (0..5).fold(0, |bits, turn| bits | 1 << ((hash >> (6 * turn)) & 63));
    (at as usize, bits)
}

/// Has the processor fetch the word, and waits for nothing.
#[inline]
fn prefetch(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    // SAFETY: SSE is part of x86-64 itself, and a prefetch is a hint that fails for no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>((&raw const *word).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
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
        assert!((2_000..2_050).contains(&added), "{added}: room for a quarter more");
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
