//! Requests for a keyring that is newer, at most one in an interval.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Lets one refresh of the keyring through in an interval, however many API keys ask for it.
pub(crate) struct RefreshThrottle {
    start: Instant,
    interval: Duration,
    /// Milliseconds from `start` to the last request that was granted, plus one; 0 for none.
    last: AtomicU64,
    requested: Notify,
}

impl RefreshThrottle {
    pub(super) fn new(interval: Duration) -> Self {
        RefreshThrottle { start: Instant::now(), interval, last: AtomicU64::new(0), requested: Notify::new() }
    }

    /// Requests a look at the keyring, because a presented key names a version that is not in it. Returns whether the
    /// request was granted.
    pub(super) fn request_refresh(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let granted = self.last.try_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            (last == 0 || now.saturating_sub(last) >= interval).then_some(now)
        });
        if granted.is_ok() {
            self.requested.notify_one();
        }
        granted.is_ok()
    }

    /// Waits for a request.
    pub(super) async fn requested(&self) {
        self.requested.notified().await;
    }
}
