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

/// Returns whether all of it is printable ASCII, spaces and tabs.
#[inline]
pub(super) fn is_readable(value: &[u8]) -> bool {
    all_bytes(value, |byte| matches!(byte, b'\t' | b' '..=b'~'))
}

/// Returns whether each byte passes. It looks at whole vectors; the last one may overlap the one before.
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
