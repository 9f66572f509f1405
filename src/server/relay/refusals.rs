//! Messages that a relay refused: counted for the metrics and for the fleet.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The refused messages of all streams.
#[derive(Default)]
pub(super) struct Refusals {
    total: AtomicU64,
    /// By reason, those that the metrics do not show yet.
    unshown: Mutex<BTreeMap<&'static str, u64>>,
}

impl Refusals {
    pub(super) fn add(&self, reason: &'static str) {
        self.total.fetch_add(1, Ordering::Relaxed);
        *self.unshown.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    /// How many there were since the relay began.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// By reason, those since the last call.
    pub(super) fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.unshown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
