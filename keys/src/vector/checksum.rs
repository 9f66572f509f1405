//! CRC-32 (IEEE 802.3) by products without carry: the text is folded into 128 bits, which leave the same remainder, and
//! then reduced.
//!
//! The register of a CRC begins with ones; by linearity that adds a constant that depends on the length alone.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_clmulepi64_si128, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_shuffle_epi8,
    _mm_srli_si128, _mm_xor_si128,
};

use super::{MAX_CHECKED as MAX, load};

const BLOCK: usize = 16;

/// The polynomial without its highest term; the lowest bit is the highest power.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The polynomial with its highest term, and the quotient of x^64 by it.
pub(super) const BARRETT: [i64; 2] = [0x1_db71_0641, 0x1_f701_1641];

/// `x^power`, modulo the polynomial, in the place that a product of reversed numbers needs.
pub(super) const fn power(power: u32) -> i64 {
    let (mut value, mut at) = (1u32 << 31, 0);
    while at < power {
        value = step(value);
        at += 1;
    }
    (value as i64) << 1
}

/// Times x.
const fn step(value: u32) -> u32 {
    (value >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(value & 1))
}

/// The checksums of zero bytes, by how many they are.
pub(super) static OF_ZEROS: [u32; MAX + 1] = {
    let (mut register, mut table, mut at) = (u32::MAX, [0; MAX + 1], 0);
    while at <= MAX {
        table[at] = !register;
        let mut bit = 0;
        while bit < 8 {
            register = step(register);
            bit += 1;
        }
        at += 1;
    }
    table
};

/// For a text of at least a block and at most [`MAX_CHECKED`](MAX) bytes.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(super) fn checksum(text: &[u8]) -> Option<u32> {
    let constant = OF_ZEROS.get(text.len())?;
    // The first bytes go to the end of a block of their own: zeros in front change no remainder.
    const LAST: [u8; 2 * BLOCK] = {
        let (mut order, mut at) = ([0x80; 2 * BLOCK], 0);
        while at < BLOCK {
            order[BLOCK + at] = at as u8;
            at += 1;
        }
        order
    };
    let (front, blocks) = text.split_at_checked(text.len() % BLOCK)?;
    let (blocks, _) = blocks.as_chunks::<BLOCK>();
    let mut sum = _mm_shuffle_epi8(load(text.first_chunk()?), load(LAST[front.len()..].first_chunk()?));
    let forward = const { [power(128 - 32), power(128 + 32)] };
    let forward = _mm_set_epi64x(forward[0], forward[1]);
    for block in blocks {
        sum = _mm_xor_si128(fold(sum, forward), load(block));
    }
    Some(reduce(sum) ^ constant)
}

/// Moves both halves by as much as the constants say.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn fold(sum: __m128i, by: __m128i) -> __m128i {
    _mm_xor_si128(_mm_clmulepi64_si128::<0x00>(sum, by), _mm_clmulepi64_si128::<0x11>(sum, by))
}

/// The remainder of 128 bits: folded to 64, and from there by Barrett's method.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn reduce(sum: __m128i) -> u32 {
    let word = _mm_set_epi32(0, -1, 0, -1);
    let sum = _mm_xor_si128(
        _mm_srli_si128::<8>(sum),
        _mm_clmulepi64_si128::<0x10>(sum, _mm_set_epi64x(const { power(128 - 32) }, 0)),
    );
    let sum = _mm_xor_si128(
        _mm_srli_si128::<4>(sum),
        _mm_clmulepi64_si128::<0x00>(_mm_and_si128(sum, word), _mm_set_epi64x(0, const { power(64) })),
    );
    let barrett = _mm_set_epi64x(BARRETT[1], BARRETT[0]);
    let quotient = _mm_clmulepi64_si128::<0x10>(_mm_and_si128(sum, word), barrett);
    let product = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(quotient, word), barrett);
    _mm_extract_epi32::<1>(_mm_xor_si128(sum, product)) as u32
}
