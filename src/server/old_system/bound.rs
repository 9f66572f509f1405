//! How many questions an old system is asked in a second and at a time.

use std::time::Instant;

use crate::config::OldSystemConfig;

/// Questions of one realm.
pub(super) struct Bound {
    under_way: usize,
    left: f64,
    since: Instant,
}

impl Bound {
    /// All of a second's questions are left at `now`.
    pub(super) fn new(old: &OldSystemConfig, now: Instant) -> Self {
        Bound { under_way: 0, left: f64::from(old.per_second), since: now }
    }

    /// Takes one question at `now`, if any is left. Requests do not come in the order of their times, and no time
    /// counts twice.
    pub(super) fn take(&mut self, old: &OldSystemConfig, now: Instant) -> bool {
        let most = f64::from(old.per_second);
        self.left = (self.left + now.saturating_duration_since(self.since).as_secs_f64() * most).min(most);
        self.since = self.since.max(now);
        if self.left < 1.0 || self.under_way >= old.concurrent {
            return false;
        }
        self.left -= 1.0;
        self.under_way += 1;
        true
    }

    /// A question that was taken is answered.
    pub(super) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn old(concurrent: usize) -> OldSystemConfig {
        let text = format!("exec = [\"/bin/check\"]\nprefix = \"sk_\"\nper_second = 5\nconcurrent = {concurrent}");
        toml::from_str(&text).expect("an old system")
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn no_order_of_requests_makes_more_questions_of_a_second() {
        let (old, begun) = (old(1_000), Instant::now());
        let mut bound = Bound::new(&old, begun);
        // Two clocks' worth of requests: every second one is a millisecond late.
        let asked = |bound: &mut Bound, milliseconds: std::ops::Range<u64>| {
            let times = milliseconds.flat_map(|at| [at, at.saturating_sub(1)]);
            times.filter(|at| bound.take(&old, begun + Duration::from_millis(*at))).count()
        };
        assert_eq!(asked(&mut bound, 0..2_002), 5 + 10);
        assert_eq!(asked(&mut bound, 100_000..102_002), 5 + 10, "what was not asked is not saved up");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn so_many_are_under_way_at_a_time() {
        let (old, begun) = (old(2), Instant::now());
        let mut bound = Bound::new(&old, begun);
        assert_eq!([(); 3].map(|()| bound.take(&old, begun)), [true, true, false]);
        bound.end();
        assert_eq!([(); 2].map(|()| bound.take(&old, begun)), [true, false]);
    }
}
