//! How one source behaves.

use std::time::{Duration, Instant};

use bulla::feed::FollowError;

/// The status of a proxy that waited too long.
const TIMED_OUT: u16 = 504;

/// What is known of a source.
pub(super) struct SourceState {
    pub(super) name: String,
    /// Failed questions in a row.
    failures: u32,
    pub(super) error: Option<FollowError>,
    /// When it was asked last, and how long it might wait.
    asked: Option<(Instant, u64)>,
    /// The longest wait that a proxy allows, in seconds.
    most: Option<u64>,
    /// It stands before this edge, as its last answer says: it is not asked to wait for news, of which it has none.
    pub(super) behind: bool,
}

impl SourceState {
    pub(super) fn new(name: &str) -> Self {
        SourceState { name: name.to_owned(), failures: 0, error: None, asked: None, most: None, behind: false }
    }

    pub(super) fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// How long it is asked to wait, at most `wanted`.
    pub(super) fn wait(&self, wanted: u64) -> u64 {
        self.most.map_or(wanted, |most| most.min(wanted))
    }

    pub(super) fn asked(&mut self, wait: u64) {
        self.asked = Some((Instant::now(), wait));
    }

    /// Notes an answer. Returns whether it waited for news: one that answers at once is asked again after a delay.
    pub(super) fn answered(&mut self) -> bool {
        (self.failures, self.error, self.behind) = (0, None, false);
        self.asked.is_some_and(|(at, wait)| at.elapsed() >= Duration::from_secs((wait / 2).max(1)))
    }

    /// Notes a failure. How many there were in a row.
    pub(super) fn failed(&mut self, error: FollowError) -> u32 {
        if matches!(error, FollowError::Status(TIMED_OUT))
            && let Some((_, wait)) = self.asked.filter(|(_, wait)| *wait > 1)
        {
            self.most = Some(wait / 2);
        }
        self.failures = self.failures.saturating_add(1);
        (self.error, self.behind) = (Some(error), false);
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_waits_for_less_is_learned() {
        let mut source = SourceState::new("a");
        assert_eq!(source.wait(25), 25);
        for expected in [12, 6, 3, 1, 1] {
            source.asked(source.wait(25));
            source.failed(FollowError::Status(TIMED_OUT));
            assert_eq!(source.wait(25), expected);
        }
        assert_eq!(source.failed(FollowError::Status(503)), 6);
        source.answered();
        assert!(source.is_well());
        assert_eq!(source.wait(25), 1, "the proxy is still there");
    }
}
