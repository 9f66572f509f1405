//! How often a hash is computed for what turns out wrong: so many times for each key, whoever tries. The sealed half of a key
//! may be in many hands, and the public part of an imported one is public.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bulla::ApiKeyId;

/// Keys with attempts that are kept at least; of more, those that have all of theirs back are forgotten.
const KEPT: usize = 1_000;

/// The attempts at every key.
pub(crate) struct Attempts {
    /// Wrong ones at once.
    most: u32,
    /// How long until one more is let through.
    one_more: Duration,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    of: HashMap<ApiKeyId, Of>,
    /// How many there may be before those that have all back are looked for.
    most: usize,
}

#[derive(Clone, Copy)]
struct Of {
    spent: u32,
    /// When the last one came back.
    since: Instant,
}

/// One attempt at a key. Given back when dropped, unless it was a wrong one.
pub(crate) struct Attempt {
    attempts: Arc<Attempts>,
    id: ApiKeyId,
    wrong: bool,
}

impl Attempts {
    /// Lets so many wrong ones through at once, and as many more in a minute.
    pub(crate) fn new(per_minute: u32) -> Self {
        let one_more = Duration::from_secs(60) / per_minute.max(1);
        Attempts { most: per_minute, one_more, all: Mutex::default() }
    }

    /// One of the key's attempts at `now`, if it has any left. Taken before the hash, so that many at the same time are as
    /// many attempts.
    pub(crate) fn take(self: &Arc<Self>, id: ApiKeyId, now: Instant) -> Option<Attempt> {
        let mut all = self.all();
        if all.of.len() >= all.most.max(KEPT) {
            all.of.retain(|_, of| self.at(*of, now).spent > 0);
            all.most = all.of.len() * 2;
        }
        let of = all.of.entry(id).or_insert(Of { spent: 0, since: now });
        *of = self.at(*of, now);
        if of.spent >= self.most {
            return None;
        }
        of.spent += 1;
        Some(Attempt { attempts: Arc::clone(self), id, wrong: false })
    }

    fn at(&self, of: Of, now: Instant) -> Of {
        let passed = now.saturating_duration_since(of.since).as_nanos() / self.one_more.as_nanos();
        let back = u32::try_from(passed).unwrap_or(u32::MAX);
        match of.spent.checked_sub(back) {
            Some(spent) if spent > 0 => Of { spent, since: of.since + self.one_more * back },
            _ => Of { spent: 0, since: now },
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// It was a wrong one.
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
        assert_eq!(right(12), 100, "right ones are no wrong ones");
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
