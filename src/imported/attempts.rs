//! How often a slow hash is computed for what turns out wrong: so many times for each key, whoever tries.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bulla::ApiKeyId;

/// Wrong attempts at once.
const AT_ONCE: u32 = 10;
/// How long until one more is allowed.
const ONE_MORE: Duration = Duration::from_secs(6);
/// Keys with attempts that are kept at least; those that have all of theirs back are forgotten beyond.
const KEPT: usize = 1_000;

/// The attempts at every key.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<All>);

#[derive(Default)]
struct All {
    of: HashMap<ApiKeyId, Of>,
    /// How many there may be before those without a need are looked for.
    most: usize,
}

#[derive(Clone, Copy)]
struct Of {
    spent: u32,
    /// When the last one came back.
    since: Instant,
}

impl Attempts {
    /// Takes one of the key's attempts at `now`, if it has any left. Taken before the hash, so that many at the same time
    /// are as many attempts.
    pub(crate) fn take(&self, id: ApiKeyId, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.of.len() >= all.most.max(KEPT) {
            all.of.retain(|_, of| of.at(now).spent > 0);
            all.most = all.of.len() * 2;
        }
        let of = all.of.entry(id).or_insert(Of { spent: 0, since: now });
        *of = of.at(now);
        let left = of.spent < AT_ONCE;
        of.spent += u32::from(left);
        left
    }

    /// Gives an attempt back: it was a right one, or none at all.
    pub(crate) fn give_back(&self, id: ApiKeyId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = all.of.get_mut(&id) {
            of.spent = of.spent.saturating_sub(1);
        }
    }
}

impl Of {
    fn at(self, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.since).as_secs() / ONE_MORE.as_secs();
        let back = u32::try_from(passed).unwrap_or(u32::MAX);
        match self.spent.checked_sub(back) {
            Some(spent) if spent > 0 => Of { spent, since: self.since + ONE_MORE * back },
            _ => Of { spent: 0, since: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ApiKeyId {
        ApiKeyId::unsealed("live".parse().expect("a realm"), [number; 12])
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn wrong_attempts_are_bounded_for_each_key() {
        let (attempts, begun) = (Attempts::default(), Instant::now());
        let taken = |id, at: u64| (0..100).filter(|_| attempts.take(id, begun + Duration::from_secs(at))).count();
        assert_eq!([taken(id(1), 0), taken(id(1), 5), taken(id(2), 5)], [10, 0, 10]);
        assert_eq!([taken(id(1), 6), taken(id(1), 11), taken(id(1), 12)], [1, 0, 1]);
        attempts.give_back(id(1));
        assert_eq!(taken(id(1), 12), 1);
        assert_eq!([taken(id(1), 10_000), taken(id(1), 10_000)], [10, 0]);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn keys_that_nobody_tries_any_more_are_forgotten() {
        let (attempts, begun) = (Attempts::default(), Instant::now());
        let realm = "live".parse().expect("a realm");
        for number in 0..100_000u64 {
            let mut name = [0; 12];
            name[..8].copy_from_slice(&number.to_be_bytes());
            attempts.take(ApiKeyId::unsealed(realm, name), begun + Duration::from_millis(number * 10));
        }
        // Six seconds after its attempt a key has all back: 600 of them are younger.
        assert!(attempts.0.lock().expect("all").of.len() <= 1_300);
    }
}
