//! The time to sweep a list by: no clock that is ahead for a while pushes it.

use std::time::Duration;

/// How long an id stays after its key expired, in seconds.
const GRACE: u64 = 24 * 3_600;

/// How much faster than the running time it goes where it is behind.
const MAX_SPEED: u32 = 2;

/// The time to sweep a list of revocations by, which is never ahead of the clock, and advances at most twice as fast as
/// the program runs.
///
/// A clock that is ahead, even for seconds, shows keys as expired that are not: with [`Revocations::sweep`] of that
/// time their revocations would be gone, and the keys be good again once the clock is right. By this one they stay for
/// a day longer than their keys, so that the clock has to be wrong by more than a day, for more than a day, before any
/// is lost.
///
/// ```
/// # use std::time::Duration;
/// # use bulla::revocation::SweepClock;
/// let now = 1_800_000_000;
/// let mut clock = SweepClock::new(now);
/// // Eight seconds later the machine's clock is a year ahead; and then it is right again.
/// let year = 365 * 86_400;
/// assert_eq!(clock.advance(Duration::from_secs(8), now + year), now + 16);
/// assert_eq!(clock.advance(Duration::from_secs(1), now + 9), now + 9);
/// assert_eq!(clock.sweep_at(), now + 9 - 86_400);
/// ```
///
/// [`Revocations::sweep`]: crate::revocation::Revocations::sweep
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepClock {
    at: u64,
    /// Less than a second that was not added yet.
    rest: Duration,
}

impl SweepClock {
    /// A clock that stands at `at`, in Unix seconds: where the last one stood, or at the present where there was none.
    pub const fn new(at: u64) -> Self {
        SweepClock { at, rest: Duration::ZERO }
    }

    /// Advances by the time that the program ran since the last call, by a clock that nobody sets, and never beyond
    /// `now`, in Unix seconds. Where it stands then.
    pub fn advance(&mut self, ran: Duration, now: u64) -> u64 {
        let gained = self.rest.saturating_add(ran.saturating_mul(MAX_SPEED));
        self.rest = Duration::from_nanos(u64::from(gained.subsec_nanos()));
        self.at = self.at.saturating_add(gained.as_secs()).min(now);
        self.at
    }

    /// Where it stands, in Unix seconds.
    pub const fn now(&self) -> u64 {
        self.at
    }

    /// The time for [`Revocations::sweep`](crate::revocation::Revocations::sweep), in Unix seconds.
    pub const fn sweep_at(&self) -> u64 {
        self.at.saturating_sub(GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    #[test]
    fn it_follows_a_right_clock_and_catches_up_after_a_pause() {
        let mut clock = SweepClock::new(T);
        let tick = Duration::from_millis(300);
        for at in 1..=1_000 {
            clock.advance(tick, T + at * 3 / 10);
        }
        assert_eq!(clock.now(), T + 300, "with parts of seconds, too");
        // Stopped for an hour: after an hour of running it is there again.
        for at in 1..=3_600 {
            clock.advance(Duration::from_secs(1), T + 300 + 3_600 + at);
        }
        assert_eq!(clock.now(), T + 300 + 7_200);
    }

    #[test]
    fn no_id_goes_before_its_key_has_expired_whatever_the_clock_shows() {
        // For every error of up to ten years, for up to a day: the true time is what passes.
        for ahead in [1, 3_600, DAY, 365 * DAY, 3_650 * DAY, u64::MAX - 2 * T] {
            for wrong_for in [8, 3_600, DAY] {
                let (mut clock, mut truth) = (SweepClock::new(T), T);
                while truth < T + wrong_for {
                    let step = (wrong_for / 8).max(1);
                    truth += step;
                    clock.advance(Duration::from_secs(step), truth + ahead);
                    assert!(clock.sweep_at() <= truth, "{ahead} ahead for {wrong_for}");
                }
                assert_eq!(clock.advance(Duration::ZERO, truth), truth, "the right clock holds it back");
            }
            // Wrong by a day at most it may be wrong for ever.
            if ahead <= DAY {
                let mut clock = SweepClock::new(T + ahead);
                (1..1_000).for_each(|day| {
                    clock.advance(Duration::from_secs(DAY), T + day * DAY + ahead);
                    assert!(clock.sweep_at() <= T + day * DAY);
                });
            }
        }
    }
}
