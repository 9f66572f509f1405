//! Which secret halves were changed lately: what was remembered of them before counts no more.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bulla::ApiKeyId;

use crate::store::{Store, StoreError};

/// Keys whose secret halves changed, for as long as a proof from before may be remembered.
pub(super) struct Changes(Mutex<Seen>);

struct Seen {
    /// Everything that is stored up to here has been seen.
    seq: u64,
    /// With when that was read, by a monotonic clock, as proofs are remembered by.
    newest: HashMap<ApiKeyId, (u64, Instant)>,
}

impl Changes {
    /// Knows the store as it is now.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let seq = store.secret_changes(u64::MAX >> 1)?.end;
        Ok(Changes(Mutex::new(Seen { seq, newest: HashMap::new() })))
    }

    /// Reads what the store has more.
    pub(super) fn follow(&self, store: &dyn Store, remembered: Duration) -> Result<(), StoreError> {
        // The store is asked without the lock, which requests take: a store that hangs must not hold them.
        let before = self.seen();
        let changes = store.secret_changes(before)?;
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Behind where it was is another store; otherwise another thread may have read further meanwhile.
        seen.seq = if changes.end < before { changes.end } else { seen.seq.max(changes.end) };
        for (seq, id) in changes.changed {
            let newest = seen.newest.entry(id).or_insert((seq, now));
            if seq >= newest.0 {
                *newest = (seq, now);
            }
        }
        seen.newest.retain(|_, (_, at)| now.duration_since(*at) <= remembered.saturating_mul(2));
        Ok(())
    }

    /// Everything that is stored up to this number has been seen.
    pub(super) fn seen(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seq
    }

    /// Returns whether the key's secret half was changed behind `seq`.
    pub(super) fn is_newer(&self, id: &ApiKeyId, seq: u64) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.newest.get(id).is_some_and(|(newest, _)| *newest > seq)
    }
}
