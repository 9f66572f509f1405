//! The state in force: one snapshot, which requests load without waiting and which is replaced as a whole. The library's
//! `SharedVerifier` would replace the verifier apart from the configuration, so that a request could see two states.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bulla::revocation::Revocations;

use super::snapshot::{Loaded, Snapshot};
use crate::verification::Stale;

/// The snapshot in force. Each way of replacing a part of it keeps what the others put in.
pub(crate) struct Live(ArcSwap<Snapshot>);

impl Live {
    pub(super) fn new(loaded: Loaded) -> Self {
        Live(ArcSwap::from_pointee(Snapshot::new(loaded)))
    }

    /// The state of this moment. A request loads it once, at the door, and passes it down.
    pub(crate) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// The same, to be kept for longer.
    pub(super) fn load_full(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts a list of revocations in force. The caller keeps an older list from winning over a newer one.
    pub(super) fn put_revocations(&self, list: &Arc<Revocations>) {
        self.0.rcu(|current| Arc::new(current.with_revocations(Arc::clone(list))));
    }

    /// Puts configuration, keyring and keys in force, with the newest list of revocations.
    pub(super) fn put_loaded(&self, loaded: Loaded) {
        let loaded = Arc::new(loaded);
        self.0.rcu(|current| Arc::new(current.with_loaded(Arc::clone(&loaded))));
    }

    /// Says for which realms the revocations are too old to accept a key by. Whether that was not known before.
    pub(super) fn put_staleness(&self, stale: &Stale) -> bool {
        let before = self.0.rcu(|current| match current.stale() == stale {
            true => Arc::clone(current),
            false => Arc::new(current.with_staleness(stale.clone())),
        });
        before.stale() != stale
    }
}
