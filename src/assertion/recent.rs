//! The assertions of the last seconds, by what they say.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use axum::http::HeaderValue;
use hashbrown::HashMap;

/// The most that are kept: beyond them each is signed.
const MAX_KEPT: usize = 8_192;

/// Those of one window.
#[derive(Default)]
pub(super) struct Recent(Mutex<Window>);

#[derive(Default)]
struct Window {
    begun: u64,
    signed: HashMap<Vec<u8>, HeaderValue>,
}

impl Recent {
    /// The assertion with these claims, of the window that began then, or a new one by `sign`.
    pub(super) fn get_or(
        &self,
        claims: Vec<u8>,
        window: u64,
        sign: impl FnOnce(&[u8]) -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        if let Some(signed) = self.within(window, |signed| signed.get(&claims).cloned()) {
            return Some(signed);
        }
        // Outside the lock: two threads may sign the same.
        let assertion = sign(&claims)?;
        self.within(window, |signed| {
            if signed.len() < MAX_KEPT {
                signed.insert(claims, assertion.clone());
            }
        });
        Some(assertion)
    }

    fn within<T>(&self, window: u64, work: impl FnOnce(&mut HashMap<Vec<u8>, HeaderValue>) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.begun != window {
            *kept = Window { begun: window, signed: HashMap::new() };
        }
        work(&mut kept.signed)
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_signed_once_within_a_window() {
        let (recent, mut count) = (Recent::default(), 0);
        let mut get = |claims: &str, window| {
            let sign = |claims: &[u8]| {
                count += 1;
                HeaderValue::from_str(&format!("{}.{count}", String::from_utf8_lossy(claims))).ok()
            };
            recent.get_or(claims.into(), window, sign).expect("a value").to_str().expect("text").to_owned()
        };
        let told = [("a", 5), ("a", 5), ("b", 5), ("a", 5), ("a", 10), ("a", 10)].map(|(claims, at)| get(claims, at));
        assert_eq!(told, ["a.1", "a.1", "b.2", "a.1", "a.3", "a.3"]);
    }

    #[test]
    fn the_memory_is_bounded() {
        let recent = Recent::default();
        for at in 0..MAX_KEPT + 10 {
            let value = recent.get_or(at.to_string().into(), 5, |_| Some(HeaderValue::from(at)));
            assert_eq!(value, Some(HeaderValue::from(at)));
        }
        assert_eq!(recent.0.lock().expect("free").signed.len(), MAX_KEPT);
    }
}
