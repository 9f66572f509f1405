//! Base62 of a whole body in registers of 512 bits: eight groups of 11 digits at once.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_cmpgt_epu64_mask, _mm512_cmplt_epu64_mask, _mm512_madd_epi16,
    _mm512_maddubs_epi16, _mm512_maskz_permutexvar_epi8, _mm512_movepi8_mask, _mm512_mul_epu32,
    _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use super::{WIDTH, load_front, load_wide, store_wide};
use crate::base62_digits::{GROUP_BYTES, GROUP_DIGITS, NO_DIGIT, VALUES};

/// Groups of one step, in two registers of one group a lane.
pub(super) const GROUPS: usize = 8;
const HALF: usize = GROUPS / 2;

/// The digit of every ASCII character.
static DIGITS: [[u8; WIDTH]; 2] = {
    let (mut digits, mut at) = ([[NO_DIGIT; WIDTH]; 2], 0);
    while at < 2 * WIDTH {
        digits[at / WIDTH][at % WIDTH] = VALUES[at];
        at += 1;
    }
    digits
};

/// A group for each lane: its digits in fours, the last three with a zero before them.
pub(super) static SPREAD: [u8; WIDTH] = {
    let (mut order, mut at) = ([0; WIDTH], 0);
    while at < WIDTH {
        let (group, place) = (at / 16, at % 16);
        let digit = if place < 8 { place } else { place.saturating_sub(1) };
        order[at] = (GROUP_DIGITS * group + if digit < GROUP_DIGITS { digit } else { 0 }) as u8;
        at += 1;
    }
    order
};
pub(super) const SPREAD_DIGITS: u64 = 0x0eff_0eff_0eff_0eff;

/// The place of a group among the eight values: those of the two registers alternate.
const fn place(group: usize) -> usize {
    2 * (group % HALF) + group / HALF
}

/// The bytes of the values, the highest of the first group first.
static BYTES: [u8; WIDTH] = {
    let (mut order, mut at) = ([0; WIDTH], 0);
    while at < WIDTH {
        order[at] = (GROUP_BYTES * place(at / GROUP_BYTES) + GROUP_BYTES - 1 - at % GROUP_BYTES) as u8;
        at += 1;
    }
    order
};

/// The places of the first groups, by how many they are.
static PLACES: [u8; GROUPS + 1] = {
    let (mut places, mut group) = ([0; GROUPS + 1], 0);
    while group < GROUPS {
        places[group + 1] = places[group] | 1 << place(group);
        group += 1;
    }
    places
};

/// Decodes so many whole groups at the front of `text` into the front of `out`, whose last vector is written whole.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn decode_groups(text: &[u8], groups: usize, out: &mut [u8]) -> Option<()> {
    let (vectors, _) = out.as_chunks_mut::<WIDTH>();
    let mut done = 0;
    while done < groups {
        let (text, count) = (text.get(GROUP_DIGITS * done..)?, (groups - done).min(GROUPS));
        let low = fours(text, count)?;
        let high = fours(text.get(GROUP_DIGITS * HALF..).unwrap_or_default(), count.saturating_sub(HALF))?;
        let (values, exceeding) = values(low, high);
        if exceeding & PLACES[count] != 0 {
            return None;
        }
        store_wide(vectors.get_mut(done / GROUPS)?, values);
        done += count;
    }
    Some(())
}

/// The values of eight groups in bytes, the highest of the first group first, out of the [`sums`] of the first and of
/// the last four; and which of them exceed 64 bits, in the places of [`PLACES`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn values(low: __m512i, high: __m512i) -> (__m512i, u8) {
    let (eights, threes) = (_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    let eights =
        _mm512_add_epi64(_mm512_mul_epu32(eights, _mm512_set1_epi64(62i64.pow(4))), _mm512_srli_epi64::<32>(eights));
    // Eight digits and three: only this last step can exceed 64 bits, in the product or in the sum.
    const CUBE: u64 = 62u64.pow(3);
    let cube = _mm512_set1_epi64(CUBE as i64);
    let products = _mm512_add_epi64(
        _mm512_mul_epu32(eights, cube),
        _mm512_slli_epi64::<32>(_mm512_mul_epu32(_mm512_srli_epi64::<32>(eights), cube)),
    );
    let values = _mm512_add_epi64(products, threes);
    let exceeding = _mm512_cmpgt_epu64_mask(eights, _mm512_set1_epi64((u64::MAX / CUBE) as i64))
        | _mm512_cmplt_epu64_mask(values, threes);
    (_mm512_permutexvar_epi8(load_wide(&BYTES), values), exceeding)
}

/// The values of the first 4, second 4 and last 3 digits of four groups, of which so many must be groups.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn fours(text: &[u8], groups: usize) -> Option<__m512i> {
    let spread = spread(load_front(text), &SPREAD, SPREAD_DIGITS);
    let lanes = u64::MAX.checked_shr(WIDTH as u32 - 16 * groups.min(HALF) as u32).unwrap_or(0);
    if _mm512_movepi8_mask(spread) & lanes != 0 {
        return None;
    }
    Some(sums(spread))
}

/// The digits of these characters in this order, those of the mask; the highest bit is set where a character is not a
/// digit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn spread(characters: __m512i, order: &[u8; WIDTH], mask: u64) -> __m512i {
    let digits = _mm512_permutex2var_epi8(load_wide(&DIGITS[0]), characters, load_wide(&DIGITS[1]));
    // The table knows seven bits: a character with the eighth is not a digit either. `digits | characters & 0x80`:
    let digits = _mm512_ternarylogic_epi32::<0xf8>(digits, characters, _mm512_set1_epi8(NO_DIGIT as i8));
    _mm512_maskz_permutexvar_epi8(mask, load_wide(order), digits)
}

/// The values of the first 4, second 4 and last 3 digits of each group.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn sums(spread: __m512i) -> __m512i {
    let pairs = _mm512_maddubs_epi16(spread, _mm512_set1_epi16((1 << 8) | 62));
    _mm512_madd_epi16(pairs, _mm512_set1_epi32((1 << 16) | (62 * 62)))
}
