//! Opening AES-256-GCM in registers of four blocks. A body is taken as it lies: its id, which ends in the nonce, is in
//! the place of the first counter block, so the text behind it is beside its stream, and the place is free for the
//! associated data in the hash. A key without claims is one register.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_set_epi8, _mm_set_epi64x, _mm_shuffle_epi8, _mm_testz_si128, _mm_xor_si128,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_xor_si256, _mm512_add_epi32, _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128, _mm512_broadcast_i32x4, _mm512_bslli_epi128, _mm512_bsrli_epi128, _mm512_castsi512_si128,
    _mm512_castsi512_si256, _mm512_clmulepi64_epi128, _mm512_extracti64x4_epi64, _mm512_maskz_broadcast_i32x4,
    _mm512_maskz_mov_epi8, _mm512_or_si512, _mm512_set_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::{
    WIDTH,
    body::{Body, ID},
    gcm::{BLOCK, GcmKey, POWERS, avx2::reduce},
    load, load_wide, store_wide,
};
use crate::suite::TAG;

/// Blocks of a register.
const LANES: usize = WIDTH / BLOCK;
/// Bytes of the longest text that is in one register with its id and with room for the lengths.
const SHORT: usize = WIDTH - 2 * BLOCK;

/// Opens `ciphertext ‖ tag`, which is so many bytes behind the id.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn open(key: &GcmKey, body: &mut Body, sealed: usize) -> bool {
    let Some(length) = sealed.checked_sub(TAG) else { return false };
    if length <= SHORT {
        return open_short(key, body, length);
    }
    // What is hashed: associated data, text, lengths.
    let count = length.div_ceil(BLOCK) + 2;
    let (vectors, _) = body.bytes_mut().as_chunks_mut::<WIDTH>();
    let last = (count - 1) / LANES;
    if count > POWERS || last >= vectors.len() {
        return false;
    }
    let powers = &key.powers[POWERS - count..];
    let nonce = nonce_of(load_wide(&vectors[0]));
    let stream = encrypt(key, counters(nonce, 0));
    let mut sum = Product::none();
    for (at, vector) in vectors[..=last].iter().enumerate() {
        let mut blocks = reverse(_mm512_maskz_mov_epi8(text_mask(at, length), load_wide(vector)));
        if at == 0 {
            blocks = _mm512_or_si512(blocks, _mm512_zextsi128_si512(key.before));
        }
        if at == last {
            blocks = _mm512_or_si512(blocks, lengths_at((count - 1) % LANES, key, length));
        }
        if let Some(powers) = powers[LANES * at..].first_chunk() {
            sum = sum.and(blocks, super::load_blocks(powers));
        }
    }
    if !is_tag(body, length, sum.reduced(), stream) {
        return false;
    }
    let (vectors, _) = body.bytes_mut().as_chunks_mut::<WIDTH>();
    combine(&mut vectors[0], text_mask(0, length), stream);
    for (at, vector) in vectors[1..=last].iter_mut().enumerate() {
        combine(vector, text_mask(at + 1, length), encrypt(key, counters(nonce, at + 1)));
    }
    true
}

/// `T = S ⊕ E(J0)`: every bit of the difference in one test. The mask is the stream's first block.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn is_tag(body: &Body, length: usize, hash: __m128i, stream: __m512i) -> bool {
    let Some(tag) = body.bytes().get(ID + length..).and_then(<[u8]>::first_chunk) else { return false };
    let difference = _mm_xor_si128(_mm_xor_si128(reverse_one(hash), _mm512_castsi512_si128(stream)), load(tag));
    _mm_testz_si128(difference, difference) != 0
}

/// The block of lengths in this lane.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn lengths_at(lane: usize, key: &GcmKey, length: usize) -> __m512i {
    let lengths = _mm_set_epi64x(key.associated_bits as i64, 8 * length as i64);
    _mm512_maskz_broadcast_i32x4(0xf << (LANES * lane), lengths)
}

/// Opens a text that is in the first vector.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn open_short(key: &GcmKey, body: &mut Body, length: usize) -> bool {
    let count = length.div_ceil(BLOCK) + 2;
    let (Some(vector), Some(powers)) = (body.bytes().first_chunk(), key.powers[POWERS - count..].first_chunk()) else {
        return false;
    };
    let head = load_wide(vector);
    let text = reverse(_mm512_maskz_mov_epi8(text_mask(0, length), head));
    let ends = _mm512_or_si512(_mm512_zextsi128_si512(key.before), lengths_at(count - 1, key, length));
    let sum = Product::of(_mm512_or_si512(text, ends), super::load_blocks(powers));
    let stream = encrypt(key, counters(nonce_of(head), 0));
    let opened = is_tag(body, length, sum.reduced(), stream);
    if opened && let Some(vector) = body.bytes_mut().first_chunk_mut() {
        combine(vector, text_mask(0, length), stream);
    }
    opened
}

/// The bytes of a vector of the body that are text.
#[inline]
fn text_mask(at: usize, length: usize) -> u64 {
    let end = ID + length;
    let before = |end: usize| u64::MAX.checked_shr((WIDTH - end.min(WIDTH)) as u32).unwrap_or(0);
    let behind_id = if at == 0 { !0xffff } else { u64::MAX };
    before(end.saturating_sub(WIDTH * at)) & behind_id
}

/// Decrypts the text of a vector. All of it is stored: a load right behind a store of some bytes would have to wait.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn combine(vector: &mut [u8; WIDTH], text: u64, stream: __m512i) {
    let data = load_wide(vector);
    store_wide(vector, _mm512_xor_si512(data, _mm512_maskz_mov_epi8(text, stream)));
}

/// `IV ‖ 0^32` in every lane, of an id, which ends in `IV`.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn nonce_of(head: __m512i) -> __m512i {
    let order = _mm_set_epi8(-1, -1, -1, -1, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4);
    _mm512_broadcast_i32x4(_mm_shuffle_epi8(_mm512_castsi512_si128(head), order))
}

/// `IV ‖ [counter]32` of the blocks of this vector; the first has 1.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn counters(nonce: __m512i, at: usize) -> __m512i {
    const fn big(counter: i32) -> i32 {
        counter.swap_bytes()
    }
    let first = _mm512_set_epi32(big(4), 0, 0, 0, big(3), 0, 0, 0, big(2), 0, 0, 0, big(1), 0, 0, 0);
    // No counter here exceeds its last byte.
    let more = (LANES * at) as i32;
    let more = big(more);
    let step = _mm512_set_epi32(more, 0, 0, 0, more, 0, 0, 0, more, 0, 0, 0, more, 0, 0, 0);
    _mm512_or_si512(nonce, _mm512_add_epi32(first, step))
}

#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn encrypt(key: &GcmKey, blocks: __m512i) -> __m512i {
    let [first, rounds @ .., last] = &key.rounds;
    let mut blocks = _mm512_xor_si512(blocks, _mm512_broadcast_i32x4(*first));
    for round in rounds {
        blocks = _mm512_aesenc_epi128(blocks, _mm512_broadcast_i32x4(*round));
    }
    _mm512_aesenclast_epi128(blocks, _mm512_broadcast_i32x4(*last))
}

#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn reverse(blocks: __m512i) -> __m512i {
    let order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order))
}

#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn reverse_one(block: __m128i) -> __m128i {
    _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
}

/// Sums of products without carry, one in each lane.
#[derive(Clone, Copy)]
pub(super) struct Product {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

impl Product {
    #[inline]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
    )]
    fn none() -> Self {
        let zero = _mm512_setzero_si512();
        Product { low: zero, middle: zero, high: zero }
    }

    #[inline]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
    )]
    pub(super) fn of(left: __m512i, right: __m512i) -> Self {
        Product {
            low: _mm512_clmulepi64_epi128::<0x00>(left, right),
            middle: _mm512_xor_si512(
                _mm512_clmulepi64_epi128::<0x01>(left, right),
                _mm512_clmulepi64_epi128::<0x10>(left, right),
            ),
            high: _mm512_clmulepi64_epi128::<0x11>(left, right),
        }
    }

    #[inline]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
    )]
    fn and(self, left: __m512i, right: __m512i) -> Self {
        let more = Product::of(left, right);
        Product {
            low: _mm512_xor_si512(self.low, more.low),
            middle: _mm512_xor_si512(self.middle, more.middle),
            high: _mm512_xor_si512(self.high, more.high),
        }
    }

    /// The sum of all lanes, reduced.
    #[inline]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
    )]
    fn reduced(self) -> __m128i {
        let [low, high] = self.halves();
        reduce(lanes(low), lanes(high))
    }

    /// The 256 bits of each lane.
    #[inline]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
    )]
    pub(super) fn halves(self) -> [__m512i; 2] {
        let low = _mm512_xor_si512(self.low, _mm512_bslli_epi128::<8>(self.middle));
        [low, _mm512_xor_si512(self.high, _mm512_bsrli_epi128::<8>(self.middle))]
    }
}

/// The sum of the four lanes.
#[inline]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn lanes(vector: __m512i) -> __m128i {
    let two = _mm256_xor_si256(_mm512_castsi512_si256(vector), _mm512_extracti64x4_epi64::<1>(vector));
    _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two))
}
