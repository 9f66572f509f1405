//! The state in force: one snapshot, which requests load without waiting and which is replaced as a whole. The library's
//! `SharedVerifier` would replace the verifier apart from the configuration, so that a request could see two states.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bulla::revocation::Revocations;
use tokio::sync::watch;

use super::snapshot::{Loaded, Snapshot};
use crate::verification::Stale;

/// The snapshot in force. Each way of replacing a part of it keeps what the others put in.
pub(crate) struct Live {
    snapshot: ArcSwap<Snapshot>,
    /// The serial number of the keyring in force, for those who wait for another one.
    serial: watch::Sender<u64>,
}

impl Live {
    pub(super) fn new(loaded: Loaded) -> Self {
        let serial = watch::Sender::new(loaded.document.serial());
        Live { snapshot: ArcSwap::from_pointee(Snapshot::new(loaded)), serial }
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

    /// Says for which realms the revocations are too old to accept a key by. Whether that was not known before.
    pub(super) fn put_staleness(&self, stale: &Stale) -> bool {
        let before = self.snapshot.rcu(|current| match current.stale() == stale {
            true => Arc::clone(current),
            false => Arc::new(current.with_staleness(stale.clone())),
        });
        before.stale() != stale
    }
}
