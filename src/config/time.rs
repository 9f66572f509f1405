//! Durations in the configuration and in requests: `90d`, `12h`, `15m`.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, SpanRelativeTo};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A length of time, written `90d`, `12h`, `15m`, `30s`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// Refuses this as the value of a setting that needs so much.
    pub(super) fn at_least(self, least: Duration, setting: &str) -> Result<(), String> {
        if self.0 < least { Err(format!("{setting} must be at least {least:?}")) } else { Ok(()) }
    }
}

/// The longest length of time, in seconds: the range of times in API keys. Sums of the present time with more would
/// overflow.
const LONGEST: u64 = u32::MAX as u64;

/// Reads a length of time; a day is 24 hours.
pub(crate) fn parse_span(text: &str) -> Result<Span, String> {
    match read(text) {
        Some(duration) if duration <= Duration::from_secs(LONGEST) => Ok(Span(duration)),
        None if read(&with_ones(text)).is_none() => {
            // The error does not quote the text: it may be an API key.
            Err("it must be a length of time: write `90d`, `12h`, `15m` or `30s`".to_owned())
        }
        _ => {
            let days = LONGEST / 86_400;
            Err(format!("it is too long: API keys hold times until 2106, so {days}d is the most"))
        }
    }
}

fn read(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    let duration: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

/// The text with 1 in place of each number, so that it is a length of time whatever its numbers are.
fn with_ones(text: &str) -> String {
    let mut ones = String::with_capacity(text.len());
    for one in text.chars() {
        match one.is_ascii_digit() {
            true if ones.ends_with('1') => {}
            true => ones.push('1'),
            false => ones.push(one),
        }
    }
    ones
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time as a text with its unit: \"60s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                parse_span(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, char); 3] = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let seconds = self.0.as_secs();
        // Below a minute, and in the remainder, seconds are the usual unit.
        let whole = UNITS
            .iter()
            .find(|(unit, _)| self.0.subsec_nanos() == 0 && seconds >= *unit && seconds.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", seconds / unit),
            None => write!(f, "{:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_is_answered_with_an_example() {
        let read = |text: &str| toml::from_str::<std::collections::BTreeMap<String, Span>>(text);
        assert_eq!(read("wait = '90s'").expect("a time")["wait"], Span::seconds(90));
        let error = read("wait = 60").expect_err("no unit").to_string();
        assert!(error.contains("expected a length of time") && error.contains("\"60s\""), "{error}");
        let error = read("wait = 'soon'").expect_err("no time").to_string();
        assert!(error.contains("write `90d`"), "{error}");
    }

    #[test]
    fn people_s_durations_are_read() {
        for (text, seconds) in
            [("90d", 90 * 86_400), ("12h", 43_200), ("15m", 900), ("30s", 30), ("1d12h", 129_600), ("1w", 604_800)]
        {
            assert_eq!(parse_span(text), Ok(Span::seconds(seconds)), "{text}");
        }
        for (span, text) in [
            (Span::seconds(31_536_000), "365d"),
            (Span::seconds(5_400), "90m"),
            (Span::seconds(60), "1m"),
            (Span::seconds(61), "61s"),
            (Span::seconds(0), "0ns"),
        ] {
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(parse_span("4294967295s"), Ok(Span::seconds(LONGEST)));
        for text in ["4294967296s", "4294967295001ms", "49711d", "100000d", "7102w", "2000000h", "631107417600s"] {
            let error = parse_span(text).expect_err(text);
            assert!(error.contains("too long") && error.contains("49710d"), "{error}");
        }
        for text in ["200000000d", "99999999999d", "100000000000w", "9223372036854775808s", "1d99999999999999999999h"] {
            assert!(parse_span(text).expect_err(text).contains("too long"), "{text}");
        }
        for text in
            ["", "90", "-1d", "-99999999999d", "d", "1 month", "1y", "99999999999y", "1mo", "99999999999", "9d9"]
        {
            assert!(parse_span(text).expect_err(text).contains("a length of time"), "{text}");
        }
    }
}
