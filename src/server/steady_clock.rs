//! A wall clock that is believed once it has run steadily for a while: it went as fast as the program, and nobody set
//! it.

use std::time::Duration;

/// How long the clock has to run steadily.
const LONG_ENOUGH: Duration = Duration::from_secs(3_600);
/// How far it may be off between two looks, in seconds: clocks are corrected a little all the time.
const TOLERANCE: u64 = 5;

/// How the wall clock has run.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteadyClock {
    /// What it showed last, in Unix seconds.
    last: u64,
    /// Time since that look, of less than a second, that was not counted yet.
    rest: Duration,
    steady_for: Duration,
}

impl SteadyClock {
    /// A clock that shows `now`, in Unix seconds.
    pub(super) fn new(now: u64) -> Self {
        SteadyClock { last: now, rest: Duration::ZERO, steady_for: Duration::ZERO }
    }

    /// The program ran so long since the last look, by a monotonic clock, and the wall clock shows `now`, in Unix
    /// seconds.
    pub(super) fn advance(&mut self, ran: Duration, now: u64) {
        let passed = self.rest.saturating_add(ran);
        let expected = self.last.saturating_add(passed.as_secs());
        let is_steady = expected.abs_diff(now) <= TOLERANCE;
        self.steady_for = if is_steady { self.steady_for.saturating_add(ran) } else { Duration::ZERO };
        self.rest = Duration::from_nanos(passed.subsec_nanos().into());
        self.last = now;
    }

    /// What it shows, in Unix seconds, if it is believed.
    pub(super) fn time(&self) -> Option<u64> {
        (self.steady_for >= LONG_ENOUGH).then_some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_800_000_000;
    const HOUR: u64 = 3_600;

    /// Looks every ten seconds, for so long, at a clock that is `ahead`.
    fn run(clock: &mut SteadyClock, begin: u64, seconds: u64, ahead: u64) -> u64 {
        (1..=seconds / 10).for_each(|at| clock.advance(Duration::from_secs(10), begin + at * 10 + ahead));
        begin + seconds
    }

    #[test]
    fn a_clock_is_believed_an_hour_after_a_pause_of_any_length() {
        for pause in [0, HOUR, 365 * 24 * HOUR] {
            let mut clock = SteadyClock::new(T);
            let now = run(&mut clock, T, 2 * HOUR, 0);
            assert_eq!(clock.time(), Some(now));
            let now = run(&mut clock, now + pause, HOUR - 10, 0);
            assert_eq!(clock.time().is_some(), pause == 0, "{pause}");
            let now = run(&mut clock, now, 20, 0);
            assert_eq!(clock.time(), Some(now), "{pause}");
        }
    }

    #[test]
    fn a_clock_that_is_set_is_not_believed() {
        for ahead in [60, HOUR, 365 * 24 * HOUR] {
            let mut clock = SteadyClock::new(T);
            let now = run(&mut clock, T, 2 * HOUR, 0);
            let now = run(&mut clock, now, HOUR - 10, ahead);
            assert_eq!(clock.time(), None, "set {ahead} s ahead");
            let now = run(&mut clock, now, HOUR - 10, 0);
            assert_eq!(clock.time(), None, "and back");
            let now = run(&mut clock, now, 20, 0);
            assert_eq!(clock.time(), Some(now), "and right for an hour");
        }
        let mut clock = SteadyClock::new(T);
        (1..=4_000).for_each(|at| clock.advance(Duration::from_millis(900), T + at * 9 / 10));
        assert!(clock.time().is_some(), "looks of less than a second");
    }
}
