//! Encodings of bytes in rows: hexadecimal, or one of base64's alphabets, with padding or without.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, EITHER_PADDING);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, EITHER_PADDING);

/// How the salts of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaltEncoding {
    /// The bytes of the text itself.
    Text,
    /// Hexadecimal.
    Hex,
    /// base64 or base64url, with padding or without.
    Base64,
}

impl SaltEncoding {
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            SaltEncoding::Text => Some(text.as_bytes().to_vec()),
            SaltEncoding::Hex => hexadecimal(text),
            SaltEncoding::Base64 => base64(text),
        }
    }
}

/// Exactly `N` bytes of a presented key, in the encoding that has this length: hexadecimal is always longer.
pub(super) fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = Zeroizing::new(bare(text, N)?);
    bytes.as_slice().try_into().ok()
}

/// So many bytes of a row, in the encoding that has this length, or in hexadecimal behind a mark.
pub(super) fn of_length(text: &str, len: usize) -> Option<Vec<u8>> {
    let of_marked = marked(text).filter(|bytes| bytes.len() == len);
    of_marked.or_else(|| bare(text, len))
}

/// Bytes of a row in hexadecimal, if it can be that, and else in base64.
pub(super) fn either(text: &str) -> Option<Vec<u8>> {
    hexadecimal(text).or_else(|| base64(text))
}

/// Bytes of a row in hexadecimal.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    marked(text).or_else(|| hex::decode(text).ok())
}

/// A text of a row, which a database that takes it for bytes gives in hexadecimal behind a mark.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    let of_marked = marked(text).and_then(|bytes| String::from_utf8(bytes).ok());
    of_marked.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Bytes in hexadecimal behind what databases put before it: `\x` of PostgreSQL, `0x` of MySQL and SQL Server.
fn marked(text: &str) -> Option<Vec<u8>> {
    let digits = ["\\x", "0x", "0X"].iter().find_map(|mark| text.strip_prefix(mark))?;
    hex::decode(digits).ok()
}

fn bare(text: &str, len: usize) -> Option<Vec<u8>> {
    let bytes = if text.len() == 2 * len { hex::decode(text).ok() } else { base64(text) };
    bytes.filter(|bytes| bytes.len() == len)
}

/// Returns whether it is base64 with its padding, as some systems write it, or of a length that needs none.
pub(super) fn padded(text: &str) -> bool {
    text.rsplit('$').next().is_some_and(|last| last.len().is_multiple_of(4)) && !text.contains('.')
}

/// base64 or base64url, with padding or without.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let engine = if text.contains(['-', '_']) { &BASE64URL } else { &BASE64 };
    engine.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_tells_the_encoding() {
        let bytes = [0xfb; 32];
        for text in [
            "fb".repeat(32),
            "FB".repeat(32),
            "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=".to_owned(),
            "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s".to_owned(),
        ] {
            assert_eq!(fixed(&text), Some(bytes), "{text}");
        }
        for bad in ["", "fb", &"fb".repeat(31), &"fg".repeat(32), "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7-_v7+/s="] {
            assert_eq!(fixed::<32>(bad), None, "{bad:?}");
        }
        let hex = |text| SaltEncoding::Hex.decode(text);
        assert_eq!((hex("0aF"), hex("0aF0")), (None, Some(vec![0x0a, 0xf0])));
        assert_eq!(SaltEncoding::Text.decode("é"), Some(vec![0xc3, 0xa9]));
    }

    #[test]
    fn bytes_of_rows_may_stand_behind_the_mark_of_a_database() {
        let (bytes, hex) = (vec![0xfb; 32], "fb".repeat(32));
        for mark in ["\\x", "0x", "0X"] {
            let marked = format!("{mark}{hex}");
            assert_eq!(of_length(&marked, 32), Some(bytes.clone()), "{mark}");
            assert_eq!(either(&marked), Some(bytes.clone()), "{mark}");
            assert_eq!(SaltEncoding::Hex.decode(&marked), Some(bytes.clone()), "{mark}");
            assert_eq!((of_length(&marked, 31), fixed::<32>(&marked)), (None, None), "{mark}: another length, a key");
            assert_eq!(text(&format!("{mark}24326224")), "$2b$", "{mark}");
        }
        // base64 that begins as a mark does.
        let base64 = format!("0x{}A=", "v".repeat(40));
        assert_eq!(of_length(&base64, 32), super::base64(&base64));
        assert!(of_length(&base64, 32).is_some());
        assert_eq!((text("$2b$04$"), text("\\xff"), text("\\x2")), ("$2b$04$".into(), "\\xff".into(), "\\x2".into()));
    }
}
