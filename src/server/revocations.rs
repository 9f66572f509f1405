//! What is taken back, followed from the log in the store: nothing gets into memory by another way, so memory and store
//! cannot differ for longer than a look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulla::{KeyringDocument, Revocations, State};
use tokio::sync::watch;

use crate::store::{Following, Store, StoreError};

/// The log of revocations as far as it has been read.
pub(crate) struct TakenBack {
    log: Mutex<Following>,
    /// Tells those who wait for more where the log stands.
    newest: watch::Sender<u64>,
}

/// The log, held so that nobody else moves it.
pub(super) struct Held<'a>(MutexGuard<'a, Following>, &'a watch::Sender<u64>);

impl TakenBack {
    /// Reads the whole log of `store`.
    pub(super) fn load(store: &dyn Store, now: u64) -> Result<Self, StoreError> {
        let taken_back = TakenBack { log: Mutex::default(), newest: watch::Sender::new(0) };
        taken_back.hold().read_on(store, now)?;
        Ok(taken_back)
    }

    /// Waits for nobody who verifies.
    pub(super) fn hold(&self) -> Held<'_> {
        Held(self.log.lock().unwrap_or_else(PoisonError::into_inner), &self.newest)
    }

    /// Tells of each new place in the log.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl Held<'_> {
    /// Revokes what is due at `now`, in Unix seconds. Whether anything changed.
    pub(super) fn due(&mut self, now: u64) -> bool {
        self.0.log.due(now)
    }

    /// Reads what the log has more. Whether anything changed.
    pub(super) fn read_on(&mut self, store: &dyn Store, now: u64) -> Result<bool, StoreError> {
        let read = self.0.read_on(store, now);
        let seq = self.0.log.seq();
        self.1.send_if_modified(|newest| std::mem::replace(newest, seq) != seq);
        read
    }

    /// Which rows of the log are damaged now, and how many.
    pub(super) fn damage(&mut self, store: &dyn Store) -> Result<(usize, Option<String>), StoreError> {
        self.0.look_at_damaged(store)?;
        Ok((self.0.damaged(), self.0.damage()))
    }

    /// Forgets keys that have expired, in one of the list's parts.
    pub(super) fn sweep_part(&mut self, part: usize, now: u64) {
        self.0.log.sweep_part(part, now);
    }

    /// Forgets the ids of versions that the keyring has destroyed: none of their keys opens any more.
    pub(super) fn forget_destroyed(&mut self, document: &KeyringDocument) {
        for record in document.versions().iter().filter(|record| record.state == State::Destroyed) {
            self.0.log.forget_version(record.number.number());
        }
    }

    /// The list, for a verifier.
    pub(super) fn list(&self) -> Arc<Revocations> {
        Arc::new(self.0.log.revocations().clone())
    }
}
