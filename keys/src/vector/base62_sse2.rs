//! One group of base62, all digits at once, by what every x86-64 processor has.

use std::arch::x86_64::{
    __m128i, _mm_add_epi16, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cvtsi128_si64,
    _mm_madd_epi16, _mm_movemask_epi8, _mm_mullo_epi16, _mm_or_si128, _mm_set1_epi8, _mm_setr_epi8, _mm_setr_epi16,
    _mm_srli_epi16, _mm_srli_si128, _mm_sub_epi8, _mm_unpackhi_epi64,
};

use super::load;
use crate::base62_digits::GROUP_DIGITS;

const WINDOW: usize = 16;
const ALL_DIGITS: i32 = (1 << GROUP_DIGITS) - 1;

/// The values of the first eight and the last three digits at the front of `text`.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn decode_group(text: &[u8]) -> Option<(u64, u64)> {
    match text.first_chunk::<WINDOW>() {
        Some(window) => values(load(window)),
        None => values(load(&padded(text))),
    }
}

/// The same of so many digits at the end of the window, with zeros before them.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn decode_last(window: &[u8; WINDOW], digits: usize) -> Option<(u64, u64)> {
    const KEEP: [u8; WINDOW + GROUP_DIGITS] = {
        let (mut keep, mut at) = ([0; WINDOW + GROUP_DIGITS], GROUP_DIGITS);
        while at < WINDOW + GROUP_DIGITS {
            keep[at] = 0xff;
            at += 1;
        }
        keep
    };
    let characters = _mm_srli_si128::<{ (WINDOW - GROUP_DIGITS) as i32 }>(load(window));
    let keep = load(KEEP.get(digits..)?.first_chunk()?);
    values(_mm_or_si128(_mm_and_si128(characters, keep), _mm_andnot_si128(keep, _mm_set1_epi8(b'0' as i8))))
}

#[inline]
#[target_feature(enable = "sse2")]
fn values(characters: __m128i) -> Option<(u64, u64)> {
    // Bytes from 0x80 are negative here, and so in none of the ranges.
    let above = |byte: u8| _mm_cmpgt_epi8(characters, _mm_set1_epi8(byte as i8));
    let (upper, lower) = (above(b'A' - 1), above(b'a' - 1));
    let inside = _mm_or_si128(
        _mm_andnot_si128(above(b'9'), above(b'0' - 1)),
        _mm_or_si128(_mm_andnot_si128(above(b'Z'), upper), _mm_andnot_si128(above(b'z'), lower)),
    );
    if _mm_movemask_epi8(inside) & ALL_DIGITS != ALL_DIGITS {
        return None;
    }
    // 'A' comes 7 characters after the place of digit 10, 'a' 6 more after that of digit 36.
    let letters = _mm_or_si128(
        _mm_and_si128(_mm_andnot_si128(lower, upper), _mm_set1_epi8(7)),
        _mm_and_si128(lower, _mm_set1_epi8(13)),
    );
    let digits = _mm_sub_epi8(_mm_sub_epi8(characters, _mm_set1_epi8(b'0' as i8)), letters);
    let digits = _mm_and_si128(digits, _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0));
    // Pairs of digits in 16 bits, the eleventh alone; then four, four and the last three in 32 bits.
    let first = _mm_and_si128(digits, _mm_setr_epi16(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
    let pairs =
        _mm_add_epi16(_mm_mullo_epi16(first, _mm_setr_epi16(62, 62, 62, 62, 62, 1, 0, 0)), _mm_srli_epi16::<8>(digits));
    const SQUARE: i16 = 62 * 62;
    let fours = _mm_madd_epi16(pairs, _mm_setr_epi16(SQUARE, 1, SQUARE, 1, 62, 1, 0, 0));
    let eight = _mm_cvtsi128_si64(fours) as u64;
    let three = _mm_cvtsi128_si64(_mm_unpackhi_epi64(fours, fours)) as u64;
    Some(((eight & 0xffff_ffff) * 62u64.pow(4) + (eight >> 32), three))
}

/// The place of the last underscore.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn last_underscore(text: &[u8]) -> Option<usize> {
    let (rest, windows) = text.as_rchunks::<WINDOW>();
    for (at, window) in windows.iter().enumerate().rev() {
        let found = _mm_movemask_epi8(_mm_cmpeq_epi8(load(window), _mm_set1_epi8(b'_' as i8)));
        if found != 0 {
            return Some(rest.len() + WINDOW * at + found.ilog2() as usize);
        }
    }
    rest.iter().rposition(|character| *character == b'_')
}

/// A short rest of the text, filled up; characters that are missing are no digits.
#[inline]
fn padded(rest: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    let length = rest.len().min(WINDOW);
    window[..length].copy_from_slice(&rest[..length]);
    window
}
