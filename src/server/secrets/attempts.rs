//! The limit on wrong attempts at each key, no matter who tries: a hash is costly. The sealed half of a key may be in
//! many hands, and the public part of an imported one is public.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bulla::ApiKeyId;

/// So many keys are remembered in any case. Of more, those that have all their attempts back are forgotten.
const MIN_REMEMBERED: usize = 1_000;

/// The attempts at every key.
pub(crate) struct Attempts {
    /// Wrong attempts that are let through at once.
    burst: u32,
    /// The time until one more is let through.
    refill: Duration,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    of: HashMap<ApiKeyId, Of>,
    /// How many there may be before those that have all attempts back are forgotten.
    max: usize,
}

#[derive(Clone, Copy)]
struct Of {
    spent: u32,
    /// When the last one was given back.
    since: Instant,
}

/// One attempt at a key. It is given back when dropped, unless it was wrong.
pub(crate) struct Attempt {
    attempts: Arc<Attempts>,
    id: ApiKeyId,
    wrong: bool,
}

impl Attempts {
    /// Lets `per_minute` wrong ones through at once, and as many more in a minute.
    pub(crate) fn new(per_minute: u32) -> Self {
        let refill = Duration::from_secs(60) / per_minute.max(1);
        Attempts { burst: per_minute, refill, all: Mutex::default() }
    }

    /// One of the key's attempts at `now`, if it has any left. Taken before the hash, so that many at the same time are
    /// as many attempts.
    pub(crate) fn take(self: &Arc<Self>, id: ApiKeyId, now: Instant) -> Option<Attempt> {
        let mut all = self.all();
        if all.of.len() >= all.max.max(MIN_REMEMBERED) {
            all.of.retain(|_, of| self.at(*of, now).spent > 0);
            all.max = all.of.len() * 2;
        }
        let of = all.of.entry(id).or_insert(Of { spent: 0, since: now });
        *of = self.at(*of, now);
        if of.spent >= self.burst {
            return None;
        }
        of.spent += 1;
        Some(Attempt { attempts: Arc::clone(self), id, wrong: false })
    }

    fn at(&self, of: Of, now: Instant) -> Of {
        let passed = now.saturating_duration_since(of.since).as_nanos() / self.refill.as_nanos();
        let back = u32::try_from(passed).unwrap_or(u32::MAX);
        match of.spent.checked_sub(back) {
            Some(spent) if spent > 0 => Of { spent, since: of.since + self.refill * back },
            // Calls do not come in the order of their times, and no time counts twice.
            _ => Of { spent: 0, since: of.since.max(now) },
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The attempt was wrong.
    pub(crate) fn spend(mut self) {
        self.wrong = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.wrong
            && let Some(of) = self.attempts.all().of.get_mut(&self.id)
        {
            of.spent = of.spent.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ApiKeyId {
        let mut name = [0; 12];
        name[..8].copy_from_slice(&number.to_be_bytes());
        ApiKeyId::unsealed("live".parse().expect("a realm"), name)
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn wrong_attempts_are_bounded_for_each_key() {
        let (attempts, begun) = (Arc::new(Attempts::new(10)), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let wrong = |id, seconds| (0..100).filter_map(|_| attempts.take(id, at(seconds))).map(Attempt::spend).count();
        assert_eq!([wrong(id(1), 0), wrong(id(1), 5), wrong(id(2), 5)], [10, 0, 10]);
        assert_eq!([wrong(id(1), 6), wrong(id(1), 11), wrong(id(1), 12)], [1, 0, 1]);
        let right = |seconds| (0..100).filter(|_| attempts.take(id(3), at(seconds)).is_some()).count();
        assert_eq!(right(12), 100, "right ones do not count");
        let under_way: Vec<_> = (0..100).filter_map(|_| attempts.take(id(3), at(12))).collect();
        assert_eq!((under_way.len(), right(12)), (10, 0), "until it is known, each may be a wrong one");
        drop(under_way);
        assert_eq!([wrong(id(1), 10_000), wrong(id(1), 10_000)], [10, 0]);
        assert!(Arc::new(Attempts::new(0)).take(id(1), begun).is_none());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn keys_that_nobody_tries_any_more_are_forgotten() {
        let (attempts, begun) = (Arc::new(Attempts::new(10)), Instant::now());
        for number in 0..20_000 {
            let attempt = attempts.take(id(number), begun + Duration::from_millis(number * 10));
            attempt.expect("the first").spend();
        }
        // Six seconds after its attempt a key has all back: 600 of them are younger.
        assert!(attempts.all().of.len() <= 1_300);
    }
}
