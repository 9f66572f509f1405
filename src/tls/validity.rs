//! When a certificate is valid, as it says itself (RFC 5280, section 4.1.2.5).

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{self, Decode},
    time::Time,
};

use crate::clock;

/// How long before its expiry a certificate of months is due for renewal; one of days is due at a third of its life.
const RENEWAL_TIME: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The first and the last second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Validity {
    /// What `certificate` says.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> der::Result<Self> {
        let certificate = Certificate::from_der(certificate)?;
        let validity = certificate.tbs_certificate().validity();
        let at = |time: Time| clock::timestamp(time.to_unix_duration().as_secs());
        Ok(Validity { from: at(validity.not_before), until: at(validity.not_after) })
    }

    /// Why it is not valid at `now`; `None` where it is.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        if now > self.until {
            return Some(format!("expired at {}: put a new one in place", self.until));
        }
        (now < self.from)
            .then(|| format!("is not valid before {}, and it is {now} here: set the clock right", self.from))
    }

    /// Returns whether it is due for renewal at `now`.
    pub(crate) fn ends_soon(&self, now: Timestamp) -> bool {
        let life = self.until.duration_since(self.from);
        self.until.duration_since(now) < RENEWAL_TIME.min(life / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + day * 86_400).expect("a time")
    }

    #[test]
    fn what_ends_soon_depends_on_how_long_it_lasts() {
        let months = Validity { from: day(0), until: day(90) };
        let days = Validity { from: day(0), until: day(3) };
        assert_eq!([75, 77].map(|now| months.ends_soon(day(now))), [false, true]);
        assert_eq!([1, 2, 3].map(|now| days.ends_soon(day(now))), [false, false, true]);
        assert!(months.trouble(day(-1)).is_some_and(|told| told.contains("clock")));
        assert!([0, 90].iter().all(|now| months.trouble(day(*now)).is_none()));
        assert!(months.trouble(day(91)).is_some_and(|told| told.contains("expired")));
    }
}
