//! Times of rows, as databases write them.

use std::str::FromStr;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

use crate::clock;

/// Integers from here on are milliseconds: as seconds they would lie in the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// The zone of times that name none.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

/// A text that names no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a zone is UTC, an offset such as +02:00, or a name such as Europe/Berlin that this machine's zone data has")]
pub(crate) struct ZoneError;

impl Zone {
    pub(crate) fn utc() -> Self {
        Zone(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        if text.eq_ignore_ascii_case("utc") || text == "Z" {
            return Ok(Zone::utc());
        }
        if let Some((sign, rest)) = text.split_at_checked(1).filter(|(sign, _)| ["+", "-"].contains(sign)) {
            let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
            let number = |text: &str, below: i32| text.parse::<i32>().ok().filter(|number| (0..below).contains(number));
            let seconds = match (number(hours, 24), number(minutes, 60)) {
                (Some(hours), Some(minutes)) => hours * 3600 + minutes * 60,
                _ => return Err(ZoneError),
            };
            let offset = Offset::from_seconds(if sign == "-" { -seconds } else { seconds });
            return offset.map(|offset| Zone(TimeZone::fixed(offset))).map_err(|_| ZoneError);
        }
        TimeZone::get(text).map(Zone).map_err(|_| ZoneError)
    }
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeError {
    /// It names no zone, and none was named for the file.
    NoZone,
    Unreadable,
}

/// RFC 3339 and what PostgreSQL writes, Unix seconds with or without a fraction, Unix milliseconds, and times without a
/// zone, in one that is named or with ` UTC` behind them.
pub(super) fn read(text: &str, zone: Option<&Zone>) -> Result<Timestamp, TimeError> {
    let text = text.trim();
    let (text, zone) = match text.strip_suffix(" UTC") {
        Some(civil) => (civil, Some(&Zone(TimeZone::UTC))),
        None => (text, zone),
    };
    if let Ok(number) = text.parse::<i64>() {
        let at =
            if number >= MILLISECONDS { Timestamp::from_millisecond(number) } else { Timestamp::from_second(number) };
        return at.map_err(|_| TimeError::Unreadable);
    }
    if let Some((seconds, fraction)) = text.split_once('.')
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(seconds) = seconds.parse::<i64>()
    {
        return Timestamp::from_second(seconds).map_err(|_| TimeError::Unreadable);
    }
    if clock::names_leap_second(text) {
        return Err(TimeError::Unreadable);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let civil: DateTime = text.parse().map_err(|_| TimeError::Unreadable)?;
    let zone = zone.ok_or(TimeError::NoZone)?;
    zone.0.to_timestamp(civil).map_err(|_| TimeError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_databases_write_them() {
        let read = |text: &str| read(text, None).map(Timestamp::as_second);
        for text in [
            "1700000000",
            "1700000000000",
            "1700000000.5",
            "2023-11-14T22:13:20Z",
            "2023-11-14 22:13:20.123+00",
            "2023-11-15T00:13:20+02:00",
            "2023-11-14 22:13:20 UTC",
            "2023-11-14 22:13:20.5 UTC",
        ] {
            assert_eq!(read(text), Ok(1_700_000_000), "{text}");
        }
        for text in ["tomorrow", "", "9999", "0x5", "UTC", " UTC"] {
            assert_ne!(read(text), Ok(1_700_000_000), "{text}");
        }
        assert_eq!(read("2023-11-14 22:13:20"), Err(TimeError::NoZone));
        for text in ["yesterday", "2016-12-31T23:59:60Z", "2016-12-31 23:59:60", "2016-12-31 23:59:60 UTC"] {
            assert_eq!(read(text), Err(TimeError::Unreadable), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_in_the_one_that_is_named() {
        let at = |text: &str, zone: &str| read(text, Some(&zone.parse().expect("a zone"))).map(Timestamp::as_second);
        assert_eq!(at("2023-11-14 22:13:20.999", "UTC"), Ok(1_700_000_000));
        assert_eq!(at("2023-11-15T00:13:20", "+02:00"), Ok(1_700_000_000));
        assert_eq!(at("2023-11-14 17:13:20", "-5"), Ok(1_700_000_000));
        assert_eq!(at("2023-11-14", "UTC"), Ok(1_699_920_000), "a date is its first moment");
        assert_eq!(at("2023-11-14T22:13:20Z", "+02:00"), Ok(1_700_000_000), "its own zone counts");
        for bad in ["", "+", "+25:00", "+02:61", "Mars/Olympus"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
    }
}
