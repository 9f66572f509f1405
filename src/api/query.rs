//! The parameters of queries and forms: how each kind is read, with errors that go on from the parameter's name.

use std::borrow::Cow;

use bulla::Realm;
use serde::{Deserialize, Deserializer, de::Error};
use uuid::Uuid;

use crate::config::{Span, parse_span};

/// Rows of a page by default, and at most.
pub(crate) const PAGE: u32 = 100;
pub(crate) const LONGEST_PAGE: u32 = 1_000;

/// What a parameter can hold.
pub(crate) trait Parameter: Sized {
    /// The error says what is expected, and does not quote the text.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Reads a parameter.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Parameter>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    T::parse(&text).map(Some).map_err(D::Error::custom)
}

/// Reads a parameter that must be there.
pub(crate) fn required<'de, D: Deserializer<'de>, T: Parameter>(deserializer: D) -> Result<T, D::Error> {
    T::parse(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same, where an empty text is none: forms send every field.
pub(crate) fn unless_empty<'de, D: Deserializer<'de>, T: Parameter>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { T::parse(&text).map(Some).map_err(D::Error::custom) }
}

impl Parameter for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Parameter for u64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be a number".to_owned())
    }
}

/// The rows of a page.
impl Parameter for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        let rows = text.parse().ok().filter(|rows| (1..=LONGEST_PAGE).contains(rows));
        rows.ok_or_else(|| format!("must be a number from 1 to {LONGEST_PAGE}"))
    }
}

impl Parameter for Realm {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be a realm".to_owned())
    }
}

impl Parameter for Uuid {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be a UUID".to_owned())
    }
}

impl Parameter for Span {
    fn parse(text: &str) -> Result<Self, String> {
        // The name of the parameter goes before it.
        parse_span(text).map_err(|error| error.strip_prefix("it ").map_or(error.clone(), str::to_owned))
    }
}
