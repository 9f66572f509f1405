//! Limits log lines that clients can provoke to one a second on average, so that a flood fills no disk.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(10);
const LINES: u32 = 10;

/// Limits one kind of line.
pub(crate) struct LineLimit(Mutex<Window>);

struct Window {
    begun: Option<Instant>,
    lines: u32,
    kept_back: u64,
}

impl LineLimit {
    pub(crate) const fn new() -> Self {
        LineLimit(Mutex::new(Window { begun: None, lines: 0, kept_back: 0 }))
    }

    /// Returns whether a line may be written at `now`, and how many were suppressed since the last one.
    pub(crate) fn allow(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.begun.is_none_or(|begun| now.duration_since(begun) >= WINDOW) {
            (window.begun, window.lines) = (Some(now), 0);
        }
        if window.lines >= LINES {
            window.kept_back += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.kept_back))
    }

    /// How many were suppressed and not reported, for lines that cannot report it themselves.
    pub(crate) fn take_kept_back(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).kept_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any beginning will do")]
    fn so_many_in_ten_seconds_and_the_rest_is_counted() {
        let begun = Instant::now();
        let limit = LineLimit::new();
        let written = |at: Duration| (0..1_000).filter_map(|_| limit.allow(begun + at)).collect::<Vec<_>>();
        assert_eq!(written(Duration::ZERO), [0; 10]);
        assert!(written(Duration::from_millis(9_999)).is_empty());
        assert_eq!(written(Duration::from_secs(10)), [1_990, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!([limit.take_kept_back(), limit.take_kept_back()], [990, 0]);
    }
}
