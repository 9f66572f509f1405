//! Opening AES-256-GCM (NIST SP 800-38D) and XAES-256-GCM (C2SP) by instructions for AES and for products without
//! carry.
//!
//! With a nonce `IV` of 96 bits, and `E` for AES-256 under the key:
//!
//! ```text
//! H  = E(0^128)
//! J0 = IV ‖ 0^31 ‖ 1
//! S  = GHASH_H(A ‖ 0^v ‖ C ‖ 0^u ‖ [len(A)]64 ‖ [len(C)]64)
//! T  = S ⊕ E(J0)
//! P  = C ⊕ (E(inc32(J0)) ‖ E(inc32(inc32(J0))) ‖ …)
//! ```
//!
//! GHASH is computed as POLYVAL of the reversed blocks (RFC 8452, appendix A), whose product needs no bits reversed:
//! `GHASH_H(X1 ‖ X2 ‖ …) = rev(POLYVAL_mulX(rev(H))(rev(X1) ‖ rev(X2) ‖ …))`. Powers of the key make one sum of it,
//! reduced once: `X1·H^n + X2·H^(n-1) + … + Xn·H`.
//!
//! Every key and every text takes the same instructions; lengths alone decide.

use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_and_si128, _mm_clmulepi64_si128, _mm_or_si128, _mm_set_epi8,
    _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_epi64,
    _mm_slli_si128, _mm_srai_epi32, _mm_srli_epi64, _mm_srli_si128, _mm_testz_si128, _mm_xor_si128,
};

use zeroize::Zeroize;

use super::{load, load_halves, store};
use crate::{
    derive::KEY_BYTES,
    suite::{NONCE_IN_ID, TAG},
};

/// Bytes of a block.
pub(super) const BLOCK: usize = 16;
/// Round keys of AES-256.
pub(super) const ROUNDS: usize = 15;
/// Powers of the hash's key: as many as the longest text has blocks, and two for what stands before and after it.
pub(super) const POWERS: usize = super::body::ROOM / BLOCK;
/// Blocks that are encrypted side by side, so that the processor has all of them in flight.
const BATCH: usize = 4;
/// Blocks of the longest associated data.
const MAX_ASSOCIATED: usize = 3;

/// What an AES-256-GCM key and its associated data, which never change, come to.
#[repr(C, align(64))]
pub(super) struct GcmKey {
    /// From the highest to the first, and zeros to fill up the last vector.
    pub(super) powers: [__m128i; POWERS + 3],
    pub(super) rounds: [__m128i; ROUNDS],
    /// The associated data's hash before its last product: where data follow, that is one product of all.
    pub(super) before: __m128i,
    pub(super) associated_bits: u64,
}

/// What an XAES-256-GCM key and its associated data come to. The seal is AES-256-GCM under a key of its own for each
/// nonce.
pub(super) struct XaesKey {
    rounds: [__m128i; ROUNDS],
    /// `K1` of CMAC.
    k1: __m128i,
    associated: [__m128i; MAX_ASSOCIATED],
    associated_blocks: usize,
    associated_bits: u64,
}

impl Drop for GcmKey {
    fn drop(&mut self) {
        self.powers.zeroize();
        self.rounds.zeroize();
        self.before.zeroize();
    }
}

impl Drop for XaesKey {
    fn drop(&mut self) {
        self.rounds.zeroize();
        self.k1.zeroize();
    }
}

/// The same functions compiled for several sets of features.
macro_rules! compiled_for {
    ($module:ident, $features:literal) => {
        pub(super) mod $module {
            use super::*;

            #[target_feature(enable = $features)]
            pub(in crate::vector) fn gcm_key(key: &[u8; KEY_BYTES], associated: &[u8]) -> Box<GcmKey> {
                let [first, second] = halves_of(key);
                let rounds = expand(load(first), load(second));
                let [h] = encrypt(&rounds, [_mm_setzero_si128()]);
                let h = hash_key(h);
                let mut made = Box::new(GcmKey {
                    powers: [_mm_setzero_si128(); POWERS + 3],
                    rounds,
                    before: _mm_setzero_si128(),
                    associated_bits: 8 * associated.len() as u64,
                });
                let mut power = h;
                for place in made.powers[..POWERS].iter_mut().rev() {
                    *place = power;
                    power = times(power, h);
                }
                let mut before = _mm_setzero_si128();
                for (at, block) in associated.chunks(BLOCK).enumerate() {
                    if at > 0 {
                        before = times(before, h);
                    }
                    before = _mm_xor_si128(before, reverse(load(&padded(block))));
                }
                made.before = before;
                made
            }

            /// `sealed` is `ciphertext ‖ tag`.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::vector) fn open(key: &GcmKey, nonce: &[u8; NONCE_IN_ID], sealed: &mut [u8]) -> bool {
                let Some(length) = sealed.len().checked_sub(TAG) else { return false };
                let blocks = length.div_ceil(BLOCK);
                if blocks + 2 > POWERS {
                    return false;
                }
                let powers = &key.powers[POWERS - (blocks + 2)..POWERS];
                let mut sum = Product::of(key.before, powers[0]);
                for (at, power) in powers[1..=blocks].iter().enumerate() {
                    sum = sum.and(reverse(text_block(sealed, at, length)), *power);
                }
                let hash = sum.and(lengths(key.associated_bits, length), powers[blocks + 1]).reduced();
                let stream = encrypt(&key.rounds, counters(nonce, 1));
                finish(&key.rounds, nonce, hash, stream, sealed, length)
            }

            #[target_feature(enable = $features)]
            pub(in crate::vector) fn xaes_key(key: &[u8; KEY_BYTES], associated: &[u8]) -> Box<XaesKey> {
                let [first, second] = halves_of(key);
                let rounds = expand(load(first), load(second));
                // L = E(0^128); K1 = L · x
                let [l] = encrypt(&rounds, [_mm_setzero_si128()]);
                let k1 = reverse(doubled(reverse(l), _mm_set_epi64x(0, 0b1000_0111)));
                let mut blocks = [_mm_setzero_si128(); MAX_ASSOCIATED];
                for (place, block) in blocks.iter_mut().zip(associated.chunks(BLOCK)) {
                    *place = reverse(load(&padded(block)));
                }
                Box::new(XaesKey {
                    rounds,
                    k1,
                    associated: blocks,
                    associated_blocks: associated.len().div_ceil(BLOCK),
                    associated_bits: 8 * associated.len() as u64,
                })
            }

            /// `sealed` is `N[12..24] ‖ ciphertext ‖ tag`.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::vector) fn open_xaes(key: &XaesKey, first: &[u8; NONCE_IN_ID], sealed: &mut [u8]) -> bool {
                let Some((nonce, sealed)) = sealed.split_first_chunk_mut::<NONCE_IN_ID>() else { return false };
                let Some(length) = sealed.len().checked_sub(TAG) else { return false };
                // Kx = E(00 01 'X' 00 N[..12] ⊕ K1) ‖ E(00 02 'X' 00 N[..12] ⊕ K1)
                let base = _mm_shuffle_epi32::<0b10_01_00_11>(counter_base(first));
                let message = |number: i32| {
                    let prefix = _mm_set_epi32(0, 0, 0, i32::from_le_bytes([0, number as u8, b'X', 0]));
                    _mm_xor_si128(_mm_or_si128(base, prefix), key.k1)
                };
                let [low, high] = encrypt(&key.rounds, [message(1), message(2)]);
                let mut rounds = expand(low, high);
                // The first block of the batch is for the hash's key; counters follow in the order of `counters`.
                let [a, b, c, _] = counters(nonce, 1);
                let [h, stream @ ..] = encrypt(&rounds, [_mm_setzero_si128(), a, b, c]);
                let h = hash_key(h);
                let blocks = length.div_ceil(BLOCK);
                // Two blocks a step: X1·H² + X2·H, from the front; an odd number begins with one alone.
                let square = times(h, h);
                let count = key.associated_blocks + blocks + 1;
                let block = |at: usize| match at.checked_sub(key.associated_blocks) {
                    None => key.associated[at],
                    Some(at) if at < blocks => reverse(text_block(sealed, at, length)),
                    Some(_) => lengths(key.associated_bits, length),
                };
                let mut hash = _mm_setzero_si128();
                if count % 2 == 1 {
                    hash = times(block(0), h);
                }
                for at in (count % 2..count).step_by(2) {
                    let first = _mm_xor_si128(hash, block(at));
                    hash = Product::of(first, square).and(block(at + 1), h).reduced();
                }
                let [a, b, c] = stream;
                let [d] = match blocks {
                    0..3 => [_mm_setzero_si128()],
                    _ => encrypt(&rounds, [counters(nonce, 4)[0]]),
                };
                let opened = finish(&rounds, nonce, hash, [a, b, c, d], sealed, length);
                rounds.zeroize();
                opened
            }

            /// Compares the tag, then decrypts.
            #[inline]
            #[target_feature(enable = $features)]
            fn finish(
                rounds: &[__m128i; ROUNDS],
                nonce: &[u8; NONCE_IN_ID],
                hash: __m128i,
                stream: [__m128i; BATCH],
                sealed: &mut [u8],
                length: usize,
            ) -> bool {
                let [mask, stream @ ..] = stream;
                let Some(tag) = sealed.last_chunk::<TAG>() else { return false };
                // T = S ⊕ E(J0): every bit of the difference in one test.
                let difference = _mm_xor_si128(_mm_xor_si128(reverse(hash), mask), load_halves(tag));
                if _mm_testz_si128(difference, difference) == 0 {
                    return false;
                }
                let blocks = length.div_ceil(BLOCK);
                for (at, stream) in (0..blocks).zip(stream) {
                    combine(sealed, at, length, stream);
                }
                for first in (stream.len()..blocks).step_by(BATCH) {
                    let stream = encrypt(rounds, counters(nonce, first as u32 + 2));
                    for (at, stream) in (first..blocks).zip(stream) {
                        combine(sealed, at, length, stream);
                    }
                }
                true
            }

            /// A block of the text, filled up with zeros. Behind a last one that is short lies the tag.
            #[inline]
            #[target_feature(enable = $features)]
            fn text_block(sealed: &[u8], at: usize, length: usize) -> __m128i {
                let whole = sealed[BLOCK * at..].first_chunk().map_or(_mm_setzero_si128(), |block| load_halves(block));
                _mm_and_si128(whole, mask(at, length))
            }

            /// Adds the stream to a block; what lies behind the text stays.
            #[inline]
            #[target_feature(enable = $features)]
            fn combine(sealed: &mut [u8], at: usize, length: usize, stream: __m128i) {
                if let Some(block) = sealed[BLOCK * at..].first_chunk_mut() {
                    let stream = _mm_and_si128(stream, mask(at, length));
                    store(block, _mm_xor_si128(load_halves(block), stream));
                }
            }

            /// Ones where a block is text.
            #[inline]
            #[target_feature(enable = $features)]
            fn mask(at: usize, length: usize) -> __m128i {
                const ONES: [u8; 2 * BLOCK] = {
                    let mut ones = [0; 2 * BLOCK];
                    let mut at = 0;
                    while at < BLOCK {
                        ones[at] = 0xff;
                        at += 1;
                    }
                    ones
                };
                let missing = (BLOCK * (at + 1)).saturating_sub(length).min(BLOCK);
                ONES[missing..].first_chunk().map_or(_mm_setzero_si128(), |ones| load(ones))
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn lengths(associated_bits: u64, length: usize) -> __m128i {
                _mm_set_epi64x(associated_bits as i64, 8 * length as i64)
            }

            /// `IV ‖ 0^32`, read in the pieces that decoding has just written: a load across two of them would wait
            /// until they are in the cache.
            #[inline]
            #[target_feature(enable = $features)]
            fn counter_base(nonce: &[u8; NONCE_IN_ID]) -> __m128i {
                let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
                let (first, rest) = (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes([e, f, g, h, i, j, k, l]));
                let low = u64::from(first) | rest << 32;
                _mm_set_epi64x((rest >> 32) as i64, low as i64)
            }

            /// `IV ‖ [counter]32`, and the next ones.
            #[inline]
            #[target_feature(enable = $features)]
            fn counters(nonce: &[u8; NONCE_IN_ID], counter: u32) -> [__m128i; BATCH] {
                let base = counter_base(nonce);
                let block = |at: u32| _mm_or_si128(base, _mm_set_epi32((counter + at).swap_bytes() as i32, 0, 0, 0));
                [block(0), block(1), block(2), block(3)]
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn encrypt<const N: usize>(rounds: &[__m128i; ROUNDS], mut blocks: [__m128i; N]) -> [__m128i; N] {
                for block in &mut blocks {
                    *block = _mm_xor_si128(*block, rounds[0]);
                }
                for round in &rounds[1..ROUNDS - 1] {
                    for block in &mut blocks {
                        *block = _mm_aesenc_si128(*block, *round);
                    }
                }
                for block in &mut blocks {
                    *block = _mm_aesenclast_si128(*block, rounds[ROUNDS - 1]);
                }
                blocks
            }

            /// The round keys (FIPS 197, section 5.2). The last step of a round substitutes four equal words at once,
            /// so that moving them among themselves changes nothing, and adds the constant.
            #[inline]
            #[target_feature(enable = $features)]
            fn expand(first: __m128i, second: __m128i) -> [__m128i; ROUNDS] {
                let mut rounds = [first; ROUNDS];
                rounds[1] = second;
                let rotated = _mm_set_epi8(12, 15, 14, 13, 12, 15, 14, 13, 12, 15, 14, 13, 12, 15, 14, 13);
                let mut constant = 1;
                for at in 2..ROUNDS {
                    let last = rounds[at - 1];
                    let substituted = if at % 2 == 0 {
                        let added = _mm_set_epi32(constant, constant, constant, constant);
                        constant <<= 1;
                        _mm_aesenclast_si128(_mm_shuffle_epi8(last, rotated), added)
                    } else {
                        _mm_aesenclast_si128(_mm_shuffle_epi32::<0xff>(last), _mm_setzero_si128())
                    };
                    // Each word is the sum of all before it.
                    let before = rounds[at - 2];
                    let pairs = _mm_xor_si128(before, _mm_slli_si128::<4>(before));
                    let sums = _mm_xor_si128(pairs, _mm_slli_si128::<8>(pairs));
                    rounds[at] = _mm_xor_si128(sums, substituted);
                }
                rounds
            }

            /// `mulX(rev(H))`
            #[inline]
            #[target_feature(enable = $features)]
            fn hash_key(h: __m128i) -> __m128i {
                doubled(reverse(h), _mm_set_epi64x(0xc2 << 56, 1))
            }

            /// Times x, as a number of 128 bits; `over` is what the bit that leaves it comes back as.
            #[inline]
            #[target_feature(enable = $features)]
            fn doubled(number: __m128i, over: __m128i) -> __m128i {
                let carried = _mm_slli_si128::<8>(_mm_srli_epi64::<63>(number));
                let shifted = _mm_or_si128(_mm_slli_epi64::<1>(number), carried);
                let top = _mm_srai_epi32::<31>(_mm_shuffle_epi32::<0xff>(number));
                _mm_xor_si128(shifted, _mm_and_si128(top, over))
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn reverse(block: __m128i) -> __m128i {
                _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn times(left: __m128i, right: __m128i) -> __m128i {
                Product::of(left, right).reduced()
            }

            /// A sum of products without carry, not reduced yet.
            #[derive(Clone, Copy)]
            struct Product {
                low: __m128i,
                middle: __m128i,
                high: __m128i,
            }

            impl Product {
                #[inline]
                #[target_feature(enable = $features)]
                fn of(left: __m128i, right: __m128i) -> Self {
                    Product {
                        low: _mm_clmulepi64_si128::<0x00>(left, right),
                        middle: _mm_xor_si128(
                            _mm_clmulepi64_si128::<0x01>(left, right),
                            _mm_clmulepi64_si128::<0x10>(left, right),
                        ),
                        high: _mm_clmulepi64_si128::<0x11>(left, right),
                    }
                }

                #[inline]
                #[target_feature(enable = $features)]
                fn and(self, left: __m128i, right: __m128i) -> Self {
                    let more = Product::of(left, right);
                    Product {
                        low: _mm_xor_si128(self.low, more.low),
                        middle: _mm_xor_si128(self.middle, more.middle),
                        high: _mm_xor_si128(self.high, more.high),
                    }
                }

                #[inline]
                #[target_feature(enable = $features)]
                fn reduced(self) -> __m128i {
                    reduce(
                        _mm_xor_si128(self.low, _mm_slli_si128::<8>(self.middle)),
                        _mm_xor_si128(self.high, _mm_srli_si128::<8>(self.middle)),
                    )
                }
            }

            /// `(high · x^128 + low) · x^-128`, modulo `x^128 + x^127 + x^126 + x^121 + 1`: twice, the lowest 64 bits
            /// are cleared by adding the polynomial times them.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::vector) fn reduce(low: __m128i, high: __m128i) -> __m128i {
                let polynomial = _mm_set_epi64x(0, 0xc2 << 56);
                let clear = |low| {
                    let product = _mm_clmulepi64_si128::<0x00>(low, polynomial);
                    _mm_xor_si128(_mm_shuffle_epi32::<0b01_00_11_10>(low), product)
                };
                _mm_xor_si128(high, clear(clear(low)))
            }
        }
    };
}

compiled_for!(aes, "aes,pclmulqdq,ssse3,sse4.1");
compiled_for!(avx2, "aes,pclmulqdq,ssse3,sse4.1,avx2,bmi1,bmi2,lzcnt,popcnt");

fn halves_of(key: &[u8; KEY_BYTES]) -> [&[u8; BLOCK]; 2] {
    let (blocks, _) = key.as_chunks::<BLOCK>();
    [&blocks[0], &blocks[1]]
}

fn padded(block: &[u8]) -> [u8; BLOCK] {
    let mut padded = [0; BLOCK];
    padded[..block.len()].copy_from_slice(block);
    padded
}
