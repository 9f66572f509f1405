//! What the service knows: a snapshot that requests read without waiting, and the store behind it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bulla::{Issuer, Keyring, KeyringDocument, Realm, Rejection, Verified, Verifier, VerifyError};

use super::freshness::Freshness;
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
    pub(crate) freshness: Freshness,
    /// As it was at the start: what a running process cannot change.
    pub(crate) config: Config,
}

/// One consistent state of configuration, keyring and keys, swapped as a whole.
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    pub(crate) default_realms: Vec<Realm>,
    pub(crate) document: KeyringDocument,
    pub(crate) verifier: Verifier,
    pub(crate) issuer: Issuer,
    counters: VersionCounters,
}

impl App {
    /// Opens store and keyring, and asks the key sources.
    pub(crate) fn load(deployment: Deployment) -> Result<Self, DeploymentError> {
        let store = deployment.store()?;
        let metrics = Metrics::new();
        let document = deployment.document(&*store)?;
        let snapshot = Snapshot::load(&deployment, document, &metrics)?;
        let config = deployment.config;
        let freshness = Freshness::new(config.keyring.refresh_interval.0);
        Ok(App { snapshot: ArcSwap::from_pointee(snapshot), store, metrics, freshness, config })
    }

    /// The state as it is now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Looks at configuration and keyring again, and puts what changed in place as one. The key sources are asked only if
    /// something changed, or if `anyway`. On failure everything stays as it was.
    pub(crate) fn reload(&self, deployment: &Deployment, anyway: bool) -> Result<bool, DeploymentError> {
        let document = deployment.document(&*self.store)?;
        let current = self.snapshot.load();
        // Two reloads may overlap; the older document must not win.
        if document.serial() < current.document.serial() && document.id() == current.document.id() {
            return Ok(false);
        }
        let changed = document != current.document || deployment.config != current.config;
        if changed || anyway {
            self.snapshot.store(Arc::new(Snapshot::load(deployment, document, &self.metrics)?));
        }
        Ok(changed)
    }

    /// Verifies a presented key now, and counts how that ended.
    pub(crate) fn verify(&self, text: &str, wanted: &Wanted) -> Result<Verified, VerifyError> {
        let snapshot = self.snapshot.load();
        let verdict = wanted.verify(&snapshot.verifier, text, clock::now_seconds());
        match &verdict {
            Ok(verified) => snapshot.counters.accepted(verified.id().version()),
            Err(error) => {
                self.metrics.not_accepted(*error);
                if *error == VerifyError::Rejected(Rejection::VersionUnknown) && self.freshness.want_refresh() {
                    self.metrics.unknown_version_refreshes.inc();
                }
                let id = || text.parse::<bulla::ApiKey>().ok().map(|key| key.id());
                tracing::debug!(reason = error.code(), id = ?id(), "not accepted");
            }
        }
        verdict
    }
}

impl Snapshot {
    fn load(deployment: &Deployment, document: KeyringDocument, metrics: &Metrics) -> Result<Self, DeploymentError> {
        let keyring: Keyring = deployment.load(&document)?;
        for served in keyring.served() {
            for error in &served.failed {
                tracing::warn!(%error, "a key source failed, and the next one in the list served");
            }
            tracing::info!(version = %served.version, source = %served.source, "key version loaded");
        }
        Ok(Snapshot {
            verifier: Verifier::new(&keyring),
            issuer: Issuer::new(&keyring),
            counters: metrics.keyring_loaded(&document),
            default_realms: deployment.config.default_realms(),
            config: deployment.config.clone(),
            document,
        })
    }
}
