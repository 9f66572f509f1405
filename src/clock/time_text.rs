//! Times as people and programs write them (RFC 3339).

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};

/// Reads a time. A leap second is refused: Unix time has no number for it, and it would be taken for the second before.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|_| !names_leap_second(text))
}

/// Returns whether a text that is a time names the sixtieth second of its minute.
pub(crate) fn names_leap_second(text: &str) -> bool {
    let Some((_date, time)) = text.split_once(['T', 't', ' ']) else { return false };
    let end = time.find(|char: char| !char.is_ascii_digit() && char != ':').unwrap_or(time.len());
    // `23:59:60`, and `235960`: neither an hour nor a minute has this number.
    time[..end].replace(':', "").get(4..).is_some_and(|seconds| seconds == "60")
}

/// A time that may be left out.
pub(crate) fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<Cow<'_, str>>::deserialize(deserializer)?;
    let time = text.map(|text| parse_time(&text).ok_or_else(|| D::Error::custom("it must be an RFC 3339 time")));
    time.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_is_not_taken_for_another_one() {
        for text in [
            "2016-12-31T23:59:60Z",
            "2016-12-31t23:59:60z",
            "2016-12-31 23:59:60Z",
            "2016-12-31T23:59:60.5+00:00",
            "2017-01-01T00:59:60+01:00",
            "20161231T235960Z",
        ] {
            assert!(text.parse::<Timestamp>().is_ok(), "{text}: it would be taken");
            assert_eq!(parse_time(text), None, "{text}");
        }
        for text in [
            "2016-12-31T23:59:59Z",
            "2016-12-31T23:59:59.60Z",
            "20161231T235959.60Z",
            "2016-12-31T23:59:06+06:00",
            "2016-12-31 23:59:59+00",
            "2060-06-06T06:06:06Z",
        ] {
            assert_eq!(parse_time(text), text.parse().ok(), "{text}");
        }
        assert_eq!(parse_time("tomorrow"), None);
    }
}
