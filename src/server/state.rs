//! What the service knows: a snapshot that requests read without waiting, and the store behind it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bulla::{Issuer, Keyring, KeyringDocument, Realm, Verified, Verifier, VerifyError};

use crate::{
    clock,
    config::Config,
    deployment::{Deployment, DeploymentError},
    store::Store,
    telemetry::metrics::{Metrics, VersionCounters},
    verdict::Wanted,
};

/// The state of the service.
pub(crate) struct App {
    snapshot: ArcSwap<Snapshot>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Metrics,
    pub(crate) config: Config,
    pub(crate) default_realms: Vec<Realm>,
}

/// One consistent state of keyring and keys, swapped as a whole.
pub(crate) struct Snapshot {
    pub(crate) document: KeyringDocument,
    pub(crate) verifier: Verifier,
    pub(crate) issuer: Issuer,
    counters: VersionCounters,
}

impl App {
    /// Opens store and keyring, and asks the key sources.
    pub(crate) fn load(deployment: Deployment) -> Result<Self, DeploymentError> {
        let store = deployment.store()?;
        let (document, keyring) = deployment.keyring()?;
        for served in keyring.served() {
            for error in &served.failed {
                tracing::warn!(%error, "a key source failed, and the next one in the list served");
            }
            tracing::info!(version = %served.version, source = %served.source, "key version loaded");
        }
        let metrics = Metrics::new();
        let snapshot = ArcSwap::from_pointee(Snapshot::new(document, &keyring, &metrics));
        let config = deployment.config;
        Ok(App { snapshot, store, metrics, default_realms: config.default_realms(), config })
    }

    /// The state as it is now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Verifies a presented key now, and counts how that ended.
    pub(crate) fn verify(&self, text: &str, wanted: &Wanted) -> Result<Verified, VerifyError> {
        let snapshot = self.snapshot.load();
        let verdict = wanted.verify(&snapshot.verifier, text, clock::now_seconds());
        match &verdict {
            Ok(verified) => snapshot.counters.accepted(verified.id().version()),
            Err(error) => {
                self.metrics.not_accepted(*error);
                tracing::debug!(reason = error.code(), id = ?text.parse::<bulla::ApiKey>().ok().map(|key| key.id()), "not accepted");
            }
        }
        verdict
    }
}

impl Snapshot {
    fn new(document: KeyringDocument, keyring: &Keyring, metrics: &Metrics) -> Self {
        Snapshot {
            verifier: Verifier::new(keyring),
            issuer: Issuer::new(keyring),
            counters: metrics.keyring_loaded(&document),
            document,
        }
    }
}
