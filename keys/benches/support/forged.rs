//! Forged texts that look like API keys.

/// `text` with the character at `at` exchanged for another of the alphabet.
pub(crate) fn flip(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).expect("ASCII")
}

/// `text` with a right checksum in place of its last six characters.
pub(crate) fn with_checksum(text: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let checked = &text[..text.len() - 6];
    let mut value = crc32fast::hash(checked.as_bytes()) as usize;
    let mut digits = [0u8; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[value % 62];
        value /= 62;
    }
    format!("{checked}{}", std::str::from_utf8(&digits).expect("ASCII"))
}
