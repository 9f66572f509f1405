//! The wish for a fresher keyring.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// When a fresher keyring was last wished for.
pub(crate) struct Freshness {
    start: Instant,
    interval: Duration,
    /// Milliseconds from `start` to the last wish that was granted, plus one; 0 for none.
    last_wish: AtomicU64,
    wish: Notify,
}

impl Freshness {
    pub(super) fn new(interval: Duration) -> Self {
        Freshness { start: Instant::now(), interval, last_wish: AtomicU64::new(0), wish: Notify::new() }
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
}
