//! One group of base62: 11 digits to 64 bits. Half the time that bulla itself needs for a key goes by in here, so where
//! the processor has vectors for certain, all digits are looked at in one go; a table does the same elsewhere.

#[cfg(test)]
use super::GROUP_DIGITS;

/// The value of the group at the front of `text`, or `None` when a character is no digit or the value exceeds 64 bits.
#[inline(always)]
pub(super) fn decode_group(text: &[u8]) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        #[allow(unsafe_code)]
        // SAFETY: SSE2 is part of x86-64 itself.
        unsafe {
            vector::decode_group(text)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        table::decode_group(text)
    }
}

/// Eight digits and three make the value; only this last step can exceed 64 bits, since 62^11 does and 62^10 does not.
#[inline(always)]
fn join(eight: u64, three: u64) -> Option<u64> {
    eight.checked_mul(62u64.pow(3))?.checked_add(three)
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi16, _mm_and_si128, _mm_andnot_si128, _mm_cmpgt_epi8, _mm_cvtsi128_si64, _mm_madd_epi16,
        _mm_movemask_epi8, _mm_mullo_epi16, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm_setr_epi8, _mm_setr_epi16,
        _mm_srli_epi16, _mm_sub_epi8, _mm_unpackhi_epi64,
    };

    use super::{super::GROUP_DIGITS, join};

    const WIDTH: usize = 16;
    const ALL_DIGITS: i32 = (1 << GROUP_DIGITS) - 1;

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn decode_group(text: &[u8]) -> Option<u64> {
        let characters = match text.first_chunk::<WIDTH>() {
            Some(window) => load(window),
            None => load(&padded(text)),
        };
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
        let pairs = _mm_add_epi16(
            _mm_mullo_epi16(first, _mm_setr_epi16(62, 62, 62, 62, 62, 1, 0, 0)),
            _mm_srli_epi16::<8>(digits),
        );
        const SQUARE: i16 = 62 * 62;
        let fours = _mm_madd_epi16(pairs, _mm_setr_epi16(SQUARE, 1, SQUARE, 1, 62, 1, 0, 0));
        let eight = _mm_cvtsi128_si64(fours) as u64;
        let three = _mm_cvtsi128_si64(_mm_unpackhi_epi64(fours, fours)) as u64;
        join((eight & 0xffff_ffff) * 62u64.pow(4) + (eight >> 32), three)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(window: &[u8; WIDTH]) -> __m128i {
        let both = u128::from_le_bytes(*window);
        _mm_set_epi64x((both >> 64) as i64, both as i64)
    }

    /// A short rest of the text, filled up; characters that are missing are no digits.
    #[inline]
    fn padded(rest: &[u8]) -> [u8; WIDTH] {
        let mut window = [0; WIDTH];
        let length = rest.len().min(WIDTH);
        window[..length].copy_from_slice(&rest[..length]);
        window
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod table {
    use super::{
        super::{GROUP_DIGITS, NO_DIGIT, VALUES},
        join,
    };

    #[inline(always)]
    pub(super) fn decode_group(text: &[u8]) -> Option<u64> {
        let digits = text.first_chunk::<GROUP_DIGITS>()?.map(|character| VALUES[usize::from(character)]);
        if digits.iter().fold(0, |all, digit| all | digit) & NO_DIGIT != 0 {
            return None;
        }
        let value = |digits: &[u8]| digits.iter().fold(0, |value, digit| value * 62 + u64::from(*digit));
        join(value(&digits[..8]), value(&digits[8..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base62::ALPHABET;

    #[test]
    fn all_256_bytes_are_judged_alike_in_every_place() {
        for byte in 0..=255u8 {
            for place in 0..GROUP_DIGITS {
                let mut group = [b'0'; GROUP_DIGITS];
                group[place] = byte;
                let value = ALPHABET.iter().position(|character| *character == byte).map(|digit| digit as u128);
                let value = value.map(|digit| digit * 62u128.pow((GROUP_DIGITS - 1 - place) as u32));
                let expected = value.and_then(|value| u64::try_from(value).ok());
                let followed = [&group[..], b"_\xff~{z"].concat();
                for text in [&group[..], &followed] {
                    assert_eq!(decode_group(text), expected, "{byte:#x} in place {place}");
                    assert_eq!(table::decode_group(text), expected, "{byte:#x} in place {place}, by table");
                }
            }
        }
    }

    #[test]
    fn the_vector_and_the_table_agree() {
        let mut state = 1u64;
        for _ in 0..100_000 {
            let group: [u8; GROUP_DIGITS] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ALPHABET[(state >> 33) as usize % 62]
            });
            assert_eq!(decode_group(&group), table::decode_group(&group), "{group:?}");
        }
    }

    #[test]
    fn a_short_rest_is_no_group() {
        assert_eq!(decode_group(b"0000000000"), None);
        assert_eq!(decode_group(b""), None);
    }
}
