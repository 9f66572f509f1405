//! Durations as people write them: `90d`, `12h`, `15m`.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, SpanRelativeTo};
use serde::Deserialize;

/// A length of time, written `90d`, `12h`, `15m`, `30s`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }
}

/// Reads a length of time; a day is 24 hours.
pub(crate) fn parse_span(text: &str) -> Result<Span, String> {
    let fail = || format!("`{text}` is no length of time: write `90d`, `12h`, `15m` or `30s`");
    let span: jiff::Span = text.parse().map_err(|_| fail())?;
    let duration: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| fail())?;
    Duration::try_from(duration).map(Span).map_err(|_| fail())
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_span(&text)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_s_durations_are_read() {
        for (text, seconds) in
            [("90d", 90 * 86_400), ("12h", 43_200), ("15m", 900), ("30s", 30), ("1d12h", 129_600), ("1w", 604_800)]
        {
            assert_eq!(parse_span(text), Ok(Span::seconds(seconds)), "{text}");
        }
        for text in ["", "90", "-1d", "d", "1 month", "1y", "1mo"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
