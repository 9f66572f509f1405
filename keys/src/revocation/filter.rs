//! The filter in front of a chunk: it answers nearly every question about an absent key from one word of memory.

use std::sync::Arc;

use super::entry::block;

/// Keys per word, at most: 21 bits for each, of which it sets five. Of a thousand absent keys two pass for present, and each
/// of these costs several misses of the cache.
const KEYS_PER_WORD: usize = 3;

/// A Bloom filter in which all bits of a key lie in one word.
#[derive(Clone)]
pub(super) struct Filter {
    words: Arc<[u64]>,
    added: usize,
}

impl Filter {
    /// A filter that holds so many keys, with room for a quarter more.
    pub(super) fn new(keys: usize, hashes: impl Iterator<Item = u64>) -> Self {
        let words = (keys + keys / 4).div_ceil(KEYS_PER_WORD).max(1);
        let mut filter = Filter { words: vec![0; words].into(), added: 0 };
        filter.add(hashes);
        filter
    }

    /// Whether it takes so many keys more and stays as sharp as promised.
    pub(super) fn has_room(&self, keys: usize) -> bool {
        self.added + keys <= self.words.len() * KEYS_PER_WORD
    }

    pub(super) fn add(&mut self, hashes: impl Iterator<Item = u64>) {
        let words = Arc::make_mut(&mut self.words);
        for hash in hashes {
            let (at, bits) = place(hash, words.len());
            words[at] |= bits;
            self.added += 1;
        }
    }

    /// Has the processor fetch the word of the key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.words[place(hash, self.words.len()).0]);
    }

    /// False only for a key that was never added.
    #[inline]
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let (at, bits) = place(hash, self.words.len());
        self.words[at] & bits == bits
    }

    pub(super) fn memory(&self) -> usize {
        block(16 + size_of_val::<[u64]>(&self.words))
    }
}

/// The word, of so many, and in it the bits of a key.
#[inline]
fn place(hash: u64, words: usize) -> (usize, u64) {
    // The hash's first digits are the same for all keys of a chunk; multiplied, every bit of it reaches the top.
    let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let at = (spread * words as u64) >> 32;
    let bits = (0..5).fold(0, |bits, turn| bits | 1 << ((hash >> (6 * turn)) & 63));
    (at as usize, bits)
}

/// Has the processor fetch the word, and waits for nothing.
#[inline]
fn prefetch(word: &u64) {
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

    #[test]
    fn a_full_filter_holds_every_key_and_passes_two_in_a_thousand_others() {
        // A good hash of 0, 1, 2 and so on.
        let hash = |number: u64| {
            let mixed = (number + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb).rotate_left(32)
        };
        let mut filter = Filter::new(8_000, (0..8_000).map(hash));
        filter.add((8_000..10_000).map(hash));
        assert!(!filter.has_room(10));
        assert!((0..10_000).all(|number| filter.may_hold(hash(number))));
        let passed = (10_000..110_000).filter(|number| filter.may_hold(hash(*number))).count();
        assert!(passed < 250, "{passed} of 100,000");
    }
}
