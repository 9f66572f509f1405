//! How often a key's secret half was wrong lately: whoever has a key's sealed half and tries secret halves is let do so a few
//! times a minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bulla::ApiKeyId;

const WINDOW: u64 = 60;
/// Keys that are remembered; beyond, the window ends early for all.
const MOST: usize = 100_000;

/// Wrong secret halves by key, in this minute.
pub(crate) struct Wrong {
    most: u32,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    begun: u64,
    wrong: HashMap<ApiKeyId, u32>,
}

impl Wrong {
    /// Lets `most` wrong ones be tried in a minute.
    pub(crate) fn new(most: u32) -> Self {
        Wrong { most, window: Mutex::default() }
    }

    /// Whether no more is tried for this key at `now`, in Unix seconds.
    pub(crate) fn is_exhausted(&self, id: &ApiKeyId, now: u64) -> bool {
        self.at(now, |window| window.wrong.get(id).is_some_and(|wrong| *wrong >= self.most))
    }

    /// Counts a wrong one.
    pub(crate) fn note(&self, id: ApiKeyId, now: u64) {
        self.at(now, |window| {
            if window.wrong.len() >= MOST {
                window.wrong.clear();
            }
            *window.wrong.entry(id).or_default() += 1;
        });
    }

    fn at<T>(&self, now: u64, look: impl FnOnce(&mut Window) -> T) -> T {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(window.begun) >= WINDOW || now < window.begun {
            *window = Window { begun: now, wrong: HashMap::new() };
        }
        look(&mut window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_s_wrong_tries_are_bounded_in_a_minute() {
        let (wrong, now) = (Wrong::new(3), 1_795_000_000);
        let one: ApiKeyId = "live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
        let two: ApiKeyId = "test_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
        for turn in 0..3 {
            assert!(!wrong.is_exhausted(&one, now + turn));
            wrong.note(one, now + turn);
        }
        assert!(wrong.is_exhausted(&one, now + 59) && !wrong.is_exhausted(&two, now + 59));
        assert!(!wrong.is_exhausted(&one, now + 60));
    }
}
