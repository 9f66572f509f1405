//! The digits of base62 and the sizes of its groups, which portable code and the code for vector units share.

pub(crate) const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(crate) const GROUP_BYTES: usize = 8;
pub(crate) const GROUP_DIGITS: usize = 11;

/// Marks a character outside the alphabet; no digit has this bit, so the OR of many look-ups tells.
pub(crate) const NO_DIGIT: u8 = 0x80;

/// The value of each character, or [`NO_DIGIT`].
pub(crate) const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};
