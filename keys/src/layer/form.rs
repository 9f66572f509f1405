//! The forms that an API key has in a header.

use std::borrow::Cow;

use http::HeaderName;

use super::{RulesError, credential::Found};

/// The longest scheme.
pub(super) const MAX_SCHEME: usize = 64;

pub(super) const BASIC: &str = "Basic";

/// The form of a key in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The key is the value.
    Value,
    /// RFC 7617: the key is one half of a base64 text.
    Basic,
    /// The key follows this scheme, of one word or several, in any case.
    Scheme(Cow<'static, str>),
}

impl Form {
    pub(super) fn parse(scheme: &str) -> Result<Self, RulesError> {
        let is_token = |word: &str| !word.is_empty() && word.parse::<HeaderName>().is_ok();
        match scheme {
            "" => Ok(Form::Value),
            scheme if scheme.eq_ignore_ascii_case(BASIC) => Ok(Form::Basic),
            scheme if scheme.len() <= MAX_SCHEME && scheme.split(' ').all(is_token) => {
                Ok(Form::Scheme(Cow::Owned(scheme.to_owned())))
            }
            _ => Err(RulesError::Scheme),
        }
    }

    /// The scheme before the key.
    pub(super) fn scheme(&self) -> Option<&str> {
        match self {
            Form::Value => None,
            Form::Basic => Some(BASIC),
            Form::Scheme(scheme) => Some(scheme),
        }
    }

    #[inline]
    pub(super) fn read<'v>(&self, text: &'v [u8], is_key: impl Fn(&str) -> bool) -> Found<'v> {
        let behind = |scheme: &str| {
            let (start, rest) = text.split_at_checked(scheme.len())?;
            (start.eq_ignore_ascii_case(scheme.as_bytes()) && rest.starts_with(b" ")).then(|| without_spaces(rest))
        };
        match self {
            Form::Value => Found::one(without_spaces(text)),
            Form::Basic => behind(BASIC).map_or(Found::None, |rest| Found::in_basic(rest, is_key)),
            Form::Scheme(scheme) => behind(scheme).map_or(Found::None, Found::one),
        }
    }
}

/// Returns whether all of it is printable ASCII, spaces and tabs. It looks at whole words, and the last one may overlap
/// the one before: a compiler that makes vectors of a loop over bytes may not do so for every build.
pub(super) fn is_readable(value: &[u8]) -> bool {
    match value.last_chunk() {
        Some(last) => value.as_chunks().0.iter().chain([last]).all(|word| is_readable_word(*word)),
        None => value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')),
    }
}

/// The same of eight bytes at once. A sum of a byte below 128 and these numbers stays within its byte; if one is not
/// below, its own highest bit says so.
fn is_readable_word(bytes: [u8; 8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let word = u64::from_ne_bytes(bytes);
    let from_space = word.wrapping_add(each(0x80 - b' '));
    let beyond_tilde = word.wrapping_add(each(0x80 - (b'~' + 1)));
    let no_tab = (word ^ each(b'\t')).wrapping_add(each(0x7f));
    (word | beyond_tilde | (!from_space & no_tab)) & each(0x80) == 0
}

/// Returns whether each byte passes. It looks at whole vectors; the last one may overlap the one before.
#[cfg(feature = "gateway")]
#[inline]
pub(crate) fn all_bytes(value: &[u8], passes: impl Fn(u8) -> bool) -> bool {
    const VECTOR: usize = 16;
    let all = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & passes(*byte));
    match value.last_chunk::<VECTOR>() {
        Some(last) => value.as_chunks::<VECTOR>().0.iter().chain([last]).all(|vector| all(vector)),
        None => all(value),
    }
}

fn without_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_readable_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let expected = byte == b'\t' || (b' '..=b'~').contains(&byte);
            for length in 1..=24 {
                for at in 0..length {
                    // Beside the lowest and the highest that are readable, and a tab.
                    for beside in [b' ', b'~', b'\t'] {
                        let mut value = vec![beside; length];
                        value[at] = byte;
                        assert_eq!(is_readable(&value), expected, "{byte:#x} at {at} of {length}");
                    }
                }
            }
        }
        assert!(is_readable(b""));
        assert!(!is_readable(b"a\x80bcdefg\xff"), "several");
    }
}
