//! Times that an API key and the revocation log can hold: Unix seconds of 32 bits.

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
    fn of_all_times_that_there_are_those_are_taken_that_fit() {
        // Evenly over everything, and densely about the ends of what fits; by a generator that everybody can repeat.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: i128| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i128::from(state >> 11) % below
        };
        let second = 1_000_000_000;
        let (first, last) = (Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
        for turn in 0..200_000 {
            let nanosecond = match turn % 3 {
                0 => first + draw((last - first) / second) * second + draw(second),
                1 => draw(4 * second) - 2 * second,
                _ => (i128::from(u32::MAX) - 2) * second + draw(4 * second),
            };
            let at = Timestamp::from_nanosecond(nanosecond).expect("a time");
            let up = -(-nanosecond).div_euclid(second);
            let expected = u32::try_from(up).ok();
            assert_eq!(KeyTime::up(at).ok().map(KeyTime::seconds), expected, "{at}");
        }
    }

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
