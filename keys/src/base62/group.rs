//! One group of base62: 11 digits to 64 bits. Half the time that bulla itself needs for a key goes by in here, so where
//! the processor has vectors for certain, all digits are looked at in one go; a table does the same elsewhere.

#[cfg(any(test, not(target_arch = "x86_64")))]
use crate::base62_digits::GROUP_DIGITS;
use crate::base62_digits::{NO_DIGIT, VALUES};
#[cfg(target_arch = "x86_64")]
use crate::vector;

/// The value of the group at the front of `text`, or `None` when a character is not a digit or the value exceeds 64
/// bits.
#[inline(always)]
pub(super) fn decode_group(text: &[u8]) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        let (eight, three) = vector::decode_group(text)?;
        join(eight, three)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        table::decode_group(text)
    }
}

/// The value of the last digits of `text`, at most 10 of them.
#[inline(always)]
pub(super) fn decode_last(text: &[u8], digits: usize) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    if let Some(window) = text.last_chunk() {
        let (eight, three) = vector::decode_last(window, digits)?;
        return join(eight, three);
    }
    one_by_one(text.get(text.len().checked_sub(digits)?..)?)
}

fn one_by_one(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, character| match VALUES[usize::from(*character)] {
        NO_DIGIT => None,
        digit => value.checked_mul(62)?.checked_add(u64::from(digit)),
    })
}

/// Eight digits and three make the value; only this last step can exceed 64 bits, since 62^11 does and 62^10 does not.
#[inline(always)]
fn join(eight: u64, three: u64) -> Option<u64> {
    eight.checked_mul(62u64.pow(3))?.checked_add(three)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod table {
    use super::{GROUP_DIGITS, NO_DIGIT, VALUES, join};

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
    use crate::base62_digits::ALPHABET;

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
    fn the_last_digits_are_judged_alike_in_a_window_and_alone() {
        for digits in 1..=10 {
            for byte in 0..=255u8 {
                for place in 0..digits {
                    let mut text = [&b"_~!AzA9zZ{/:\xff[0"[..], &vec![b'y'; digits]].concat();
                    let at = text.len() - digits + place;
                    text[at] = byte;
                    let alone = &text[text.len() - digits..];
                    assert_eq!(decode_last(&text, digits), decode_last(alone, digits), "{byte:#x} in place {place}");
                    assert_eq!(decode_last(alone, digits).is_some(), ALPHABET.contains(&byte));
                }
            }
        }
    }

    #[test]
    fn a_short_rest_is_no_group() {
        assert_eq!(decode_group(b"0000000000"), None);
        assert_eq!(decode_group(b""), None);
    }
}
