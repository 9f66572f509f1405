//! The state in force: one snapshot, which requests load without waiting and which is replaced as a whole. The
//! library's `SharedVerifier` has the verifier alone, apart from the configuration: a request could see two states.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bulla::revocation::Revocations;
use tokio::sync::watch;

use super::snapshot::{Loaded, Snapshot};
use crate::verification::Stale;

/// The snapshot in force. Each method that replaces a part of it keeps what the others put in.
pub(crate) struct Live {
    snapshot: ArcSwap<Snapshot>,
    /// The serial number of the keyring in force, for those who wait for another one.
    serial: watch::Sender<u64>,
    /// Whether keys are verified, as `/readyz` says it, for those who wait for a change.
    ready: watch::Sender<bool>,
}

impl Live {
    pub(super) fn new(loaded: Loaded) -> Self {
        let serial = watch::Sender::new(loaded.document.serial());
        let snapshot = Snapshot::new(loaded);
        let ready = watch::Sender::new(snapshot.is_ready());
        Live { snapshot: ArcSwap::from_pointee(snapshot), serial, ready }
    }

    /// The state of this moment. A request loads it once, at the door, and passes it down.
    pub(crate) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The same, to be kept for longer.
    pub(super) fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a list of revocations in force. The caller keeps an older list from winning over a newer one.
    pub(super) fn put_revocations(&self, list: &Arc<Revocations>) {
        self.snapshot.rcu(|current| Arc::new(current.with_revocations(Arc::clone(list))));
    }

    /// Puts configuration, keyring and keys in force, with the newest list of revocations.
    pub(super) fn put_loaded(&self, loaded: Loaded) {
        let (serial, loaded) = (loaded.document.serial(), Arc::new(loaded));
        self.snapshot.rcu(|current| Arc::new(current.with_loaded(Arc::clone(&loaded))));
        self.serial.send_if_modified(|before| std::mem::replace(before, serial) != serial);
    }

    /// Tells of each keyring that is put in force from now on.
    pub(super) fn keyrings(&self) -> watch::Receiver<u64> {
        self.serial.subscribe()
    }

    /// Says for which realms the revocations are too old to accept a key by. Returns whether that was not known before.
    pub(super) fn put_staleness(&self, stale: &Stale) -> bool {
        let before = self.snapshot.rcu(|current| match current.stale() == stale {
            true => Arc::clone(current),
            false => Arc::new(current.with_staleness(stale.clone())),
        });
        // Looked at once more while the others wait, so that the last one to tell tells of what is in force.
        self.ready.send_if_modified(|known| {
            let ready = self.snapshot.load().is_ready();
            std::mem::replace(known, ready) != ready
        });
        before.stale() != stale
    }

    /// Tells whether keys are verified, and of each change of that, to at most about so many at a time.
    pub(super) fn watch_readiness(&self, most: usize) -> Option<watch::Receiver<bool>> {
        (self.ready.receiver_count() < most).then(|| self.ready.subscribe())
    }
}
