//! Base62 in groups: 8 bytes are 11 digits of `0-9A-Za-z`, so both directions take linear time and every byte string
//! has exactly one text (`docs/FORMAT.md`, "base62").

mod group;

use self::group::decode_group;
use crate::{
    base62_digits::{ALPHABET, GROUP_BYTES, GROUP_DIGITS},
    vector::{self, Body, Level, ROOM},
};

/// Digits that a group of 0 to 8 bytes takes.
const DIGITS: [usize; 9] = [0, 2, 3, 5, 6, 7, 9, 10, 11];

/// The number of characters that `bytes` bytes take.
pub(crate) const fn text_len(bytes: usize) -> usize {
    bytes / GROUP_BYTES * GROUP_DIGITS + DIGITS[bytes % GROUP_BYTES]
}

/// The number of bytes that `chars` characters hold, or `None` for a length that no byte string has.
pub(crate) const fn byte_len(chars: usize) -> Option<usize> {
    let rest = match chars % GROUP_DIGITS {
        0 => 0,
        2 => 1,
        3 => 2,
        5 => 3,
        6 => 4,
        7 => 5,
        9 => 6,
        10 => 7,
        _ => return None,
    };
    Some(chars / GROUP_DIGITS * GROUP_BYTES + rest)
}

/// Appends the text of `bytes`.
pub(crate) fn encode_into(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(GROUP_BYTES) {
        let mut room = [0; GROUP_DIGITS];
        let digits = &mut room[..DIGITS[group.len()]];
        encode_digits(group, digits);
        out.push_str(std::str::from_utf8(digits).unwrap_or_default());
    }
}

/// Writes the text of `bytes` into `out`, which has as many bytes as the text has characters.
pub(crate) fn encode_digits(bytes: &[u8], out: &mut [u8]) {
    for (group, digits) in bytes.chunks(GROUP_BYTES).zip(out.chunks_mut(GROUP_DIGITS)) {
        let mut value = group.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        // Five digits at a time, as numbers of 32 bits take fewer steps to divide.
        for digits in digits.rchunks_mut(5) {
            let mut five = (value % 62u64.pow(5)) as u32;
            value /= 62u64.pow(5);
            for digit in digits.iter_mut().rev() {
                *digit = ALPHABET[(five % 62) as usize];
                five /= 62;
            }
        }
    }
}

/// Decodes `text` into the front of `out` and returns that part, or `None` when `text` is not base62 or does not
/// fit.
#[inline]
pub(crate) fn decode_into<'a>(text: &[u8], out: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let out = out.get_mut(..byte_len(text.len())?)?;
    let (slots, last) = out.as_chunks_mut::<GROUP_BYTES>();
    let rest = decode_slots(text, slots)?;
    if !last.is_empty() {
        let value = decode_last(text, rest.len(), last.len())?;
        last.copy_from_slice(&value.to_be_bytes()[GROUP_BYTES - last.len()..]);
    }
    Some(out)
}

/// Decodes the first `chars` characters of `text`, and returns how many bytes they hold. It does not look at the
/// characters behind them, and the buffer behind the bytes has no meaning then.
#[inline(always)]
pub(crate) fn decode_body(level: Level, text: &[u8], chars: usize, body: &mut Body) -> Option<usize> {
    let length = byte_len(chars)?;
    let (groups, last) = (length / GROUP_BYTES, length % GROUP_BYTES);
    if length > ROOM - GROUP_BYTES || chars > text.len() {
        return None;
    }
    let bytes = body.prepare(length);
    match vector::decode_groups(level, text, groups, bytes) {
        Some(decoded) => decoded?,
        None => {
            let (slots, _) = bytes.as_chunks_mut();
            decode_slots(text, &mut slots[..groups])?;
        }
    }
    if last > 0 {
        let value = decode_last(&text[..chars], chars % GROUP_DIGITS, last)?;
        let (slots, _) = bytes.as_chunks_mut();
        *slots.get_mut(groups)? = (value << (8 * (GROUP_BYTES - last))).to_be_bytes();
    }
    Some(length)
}

/// Decodes groups into these slots, and returns what follows them.
#[inline]
fn decode_slots<'t>(text: &'t [u8], slots: &mut [[u8; GROUP_BYTES]]) -> Option<&'t [u8]> {
    let mut rest = text;
    for slot in slots {
        *slot = decode_group(rest)?.to_be_bytes();
        rest = rest.get(GROUP_DIGITS..)?;
    }
    Some(rest)
}

/// The value of a last group: the last `digits` digits of `text`, 2 to 10 for 1 to 7 bytes.
#[inline(always)]
pub(crate) fn decode_last(text: &[u8], digits: usize, bytes: usize) -> Option<u64> {
    group::decode_last(text, digits).filter(|value| value >> (8 * bytes) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base62_digits::VALUES;

    fn text(bytes: &[u8]) -> String {
        let mut out = String::new();
        encode_into(bytes, &mut out);
        out
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        let mut out = [0; 512];
        decode_into(text.as_bytes(), &mut out).map(|bytes| bytes.to_vec())
    }

    #[test]
    fn every_length_goes_there_and_back() {
        for fill in [0x00, 0x5a, 0xff] {
            for length in 0..=64 {
                let there = text(&vec![fill; length]);
                assert_eq!(there.len(), text_len(length));
                let mut digits = vec![0; there.len()];
                encode_digits(&vec![fill; length], &mut digits);
                assert_eq!(digits, there.as_bytes());
                assert_eq!(byte_len(there.len()), Some(length));
                assert_eq!(bytes(&there), Some(vec![fill; length]), "{length} bytes of {fill:#x}");
            }
        }
    }

    #[test]
    fn lengths_of_no_byte_string_are_refused() {
        for length in [1, 4, 8, 12, 15, 19] {
            assert_eq!(bytes(&"0".repeat(length)), None, "{length} digits");
        }
    }

    #[test]
    fn values_that_do_not_fit_their_bytes_are_refused() {
        for (group, digits) in DIGITS.into_iter().enumerate().skip(1) {
            let largest = text(&vec![0xff; group]);
            assert!(bytes(&largest).is_some());
            let mut next = largest.into_bytes();
            let last = next.last_mut().expect("a group has digits");
            *last = ALPHABET[VALUES[*last as usize] as usize + 1];
            assert_eq!(bytes(&String::from_utf8(next).expect("ASCII")), None, "{group} bytes");
            assert_eq!(bytes(&"z".repeat(digits)), None, "{group} bytes, all z");
        }
    }

    #[test]
    fn characters_outside_the_alphabet_are_refused() {
        for character in ["-", "_", "+", "/", " ", "\u{0}", "[", "`", "{", "@", ":"] {
            assert_eq!(bytes(&format!("0000000000{character}")), None, "{character:?} at the end");
            assert_eq!(bytes(&format!("{character}0000000000")), None, "{character:?} at the start");
            assert_eq!(bytes(&format!("0{character}")), None, "{character:?} in a short group");
        }
        assert_eq!(bytes("é000000000"), None);
    }
}
