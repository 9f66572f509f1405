//! A node: the service with a store and a keyring. Its [`Core`] holds what it verifies by.

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::extract::FromRef;

use super::{
    core::Core, failed_calls::FailedCalls, feed::Feed, fleet::FleetRegistry, reload::Reloader,
    revocations::RevocationState, secrets::SecretChecks, snapshot::Snapshot,
};
use crate::{
    action, clock,
    store::{Store, StoreError},
    verification::ImportedKeysError,
};

/// The parts of a node, which its endpoints work on. They get the state in force at the door alone.
pub(crate) struct App {
    pub(super) core: Core,
    pub(super) revocations: Arc<RevocationState>,
    pub(super) reloader: Reloader,
    pub(super) secrets: Arc<SecretChecks>,
    pub(super) fleet: FleetRegistry,
    /// Calls to the admin plane that failed.
    pub(super) failed_calls: FailedCalls,
    pub(super) feed: Option<Feed>,
    pub(crate) store: Arc<dyn Store>,
}

impl Deref for App {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// The endpoints of the data plane that a node and an edge have see the core alone.
impl FromRef<Arc<App>> for Core {
    fn from_ref(app: &Arc<App>) -> Self {
        app.core.clone()
    }
}

impl App {
    /// Reads what the store's revocation log has more, and which secret halves were changed; it is in force when this
    /// returns.
    pub(crate) fn catch_up(&self) -> Result<(), StoreError> {
        let secrets = self.follow_secrets();
        self.revocations.read().and(secrets)?;
        self.revocations.note_caught_up();
        Ok(())
    }

    /// Reads which secret halves were changed: what is remembered of the old ones no longer counts.
    pub(super) fn follow_secrets(&self) -> Result<(), StoreError> {
        self.secrets.follow(self.revocations.place().0, self.config.secret.cache_ttl.0)
    }

    /// Reads what was imported, and the revocation log before that counts.
    pub(super) fn follow_imported(&self) -> Result<(), ImportedKeysError> {
        self.verification.follow_imported(&*self.store, &|| self.revocations.read())
    }

    /// Shows who is registered. Reads the store.
    pub(super) fn show_fleet(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let now = clock::now();
        let active = snapshot.document.active().map(|record| record.number.number());
        let census = action::fleet::census(&*self.store, &self.config.fleet, active, now)?;
        self.metrics.fleet(&census.counts, census.lowest.unwrap_or_default(), self.revocations.place().1);
        Ok(())
    }

    /// Waits until a secret half was changed behind `seq`, the service stops, or `limit` has passed.
    pub(super) async fn secrets_beyond(&self, seq: u64, limit: Duration) {
        let (mut changes, mut stopping) = (self.secrets.changes().watch(), self.stopping.subscribe());
        tokio::select! {
            _ = changes.wait_for(|end| *end > seq) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(limit) => {}
        }
    }

    /// Waits until the revocation log goes beyond `seq`, the service stops, or `limit` has passed, which is `false`.
    pub(super) async fn log_beyond(&self, seq: u64, limit: Duration) -> bool {
        let (mut newest, mut stopping) = (self.revocations.newest(), self.stopping.subscribe());
        tokio::select! {
            _ = newest.wait_for(|newest| *newest > seq) => true,
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = tokio::time::sleep(limit) => false,
        }
    }
}
