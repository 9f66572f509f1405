//! Times that an API key, and the log of revocations, can hold: Unix seconds of 32 bits.

use jiff::Timestamp;

/// Unix seconds that fit: from 1970-01-01T00:00:00Z to 2106-02-07T06:28:15Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyTime(u32);

/// A time that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not fit: API keys hold times from 1970-01-01T00:00:00Z to 2106-02-07T06:28:15Z")]
pub(crate) struct KeyTimeError(Timestamp);

impl KeyTime {
    /// The time rounded up to a whole second, as times inside keys are compared.
    pub(crate) fn up(at: Timestamp) -> Result<Self, KeyTimeError> {
        // Before 1970 jiff's fraction is negative, and `as_second` has rounded up.
        let up = i64::from(at.subsec_nanosecond() > 0);
        u32::try_from(at.as_second() + up).map(KeyTime).map_err(|_| KeyTimeError(at))
    }

    /// Unix seconds.
    pub(crate) fn seconds(self) -> u32 {
        self.0
    }

    /// As a timestamp.
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.0)).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_fit_are_taken_and_they_are_rounded_up() {
        let up = |text: &str| KeyTime::up(text.parse().expect("a time")).map(KeyTime::seconds).ok();
        for (text, seconds) in [
            ("-009999-01-02T02:00:00Z", None),
            ("1969-12-31T23:59:58.9Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("1969-12-31T23:59:59.5Z", Some(0)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.000000001Z", Some(1)),
            ("2106-02-07T06:28:14.5Z", Some(u32::MAX)),
            ("2106-02-07T06:28:15Z", Some(u32::MAX)),
            ("2106-02-07T06:28:15.000000001Z", None),
            ("2106-02-07T06:28:16Z", None),
            ("9999-12-30T22:00:00Z", None),
        ] {
            assert_eq!(up(text), seconds, "{text}");
        }
    }
}
