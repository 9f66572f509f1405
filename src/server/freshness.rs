//! How fresh the loaded keyring is, and the wish for a fresher one.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

/// What is known of the last looks at the keyring.
pub(crate) struct Freshness {
    start: Instant,
    interval: Duration,
    /// Milliseconds from `start` to the last wish that was granted, plus one; 0 for none.
    last_wish: AtomicU64,
    wish: Notify,
    failing: Mutex<Option<Failing>>,
}

/// Since when, and why, the keyring cannot be loaded anew.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    pub(crate) since: Timestamp,
    pub(crate) error: String,
}

impl Freshness {
    pub(super) fn new(interval: Duration) -> Self {
        Freshness {
            start: Instant::now(),
            interval,
            last_wish: AtomicU64::new(0),
            wish: Notify::new(),
            failing: Mutex::new(None),
        }
    }

    /// Asks for a look at the keyring because a presented key names a version that is not in it. At most one wish per
    /// interval is granted, however many such keys arrive; whether this one was.
    pub(super) fn want_refresh(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let granted = self.last_wish.try_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            (last == 0 || now.saturating_sub(last) >= interval).then_some(now)
        });
        if granted.is_ok() {
            self.wish.notify_one();
        }
        granted.is_ok()
    }

    /// Waits for a wish.
    pub(super) async fn wished(&self) {
        self.wish.notified().await;
    }

    /// Notes how a look at the keyring ended.
    pub(super) fn looked(&self, error: Option<String>, now: Timestamp) {
        let mut failing = self.lock();
        *failing = error.map(|error| Failing { since: failing.as_ref().map_or(now, |before| before.since), error });
    }

    /// Why the keyring is not as fresh as it should be.
    pub(super) fn failing(&self) -> Option<Failing> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
