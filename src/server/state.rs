//! What the service knows: a snapshot that requests read without waiting, and the store behind it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use bulla::{ApiKey, Issuer, Keyring, KeyringDocument, Realm, Rejection, Verified, Verifier, VerifyError};

use super::freshness::Freshness;
use crate::{
    clock,
    config::Config,
    deployment::{Deployment, DeploymentError},
    store::Store,
    telemetry::metrics::{Metrics, VersionCounters},
    view::verdict::Wanted,
};

/// The state of the service.
pub(crate) struct App {
    snapshot: ArcSwap<Snapshot>,
    reloading: Mutex<()>,
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
    keyring: Keyring,
    /// What of the keyring could not be loaded.
    failed: Vec<String>,
    counters: VersionCounters,
}

/// How a look at configuration and keyring ended.
pub(crate) struct Reloaded {
    pub(crate) changed: bool,
    /// What could not be loaded, and holds nothing else up.
    pub(crate) failed: Vec<String>,
}

impl App {
    /// Opens store and keyring, and asks the key sources.
    pub(crate) fn load(deployment: Deployment) -> Result<Self, DeploymentError> {
        let store = deployment.store()?;
        let metrics = Metrics::new();
        let (document, keyring) = deployment.keyring(&*store)?;
        let snapshot = Snapshot::new(&deployment, document, keyring, Vec::new(), &metrics);
        let config = deployment.config;
        let freshness = Freshness::new(config.keyring.refresh_interval.0);
        Ok(App {
            snapshot: ArcSwap::from_pointee(snapshot),
            reloading: Mutex::new(()),
            store,
            metrics,
            freshness,
            config,
        })
    }

    /// The state as it is now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Looks at configuration and keyring again, and puts what changed in place as one. Key sources are asked for what is
    /// not at hand, and for everything if `ask_again`; what they do not yield is told, and holds nothing else up.
    pub(crate) fn reload(&self, deployment: &Deployment, ask_again: bool) -> Result<Reloaded, DeploymentError> {
        // One at a time, from reading to putting in place, or an older document could win over a newer one.
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let document = deployment.document(&*self.store)?;
        let current = self.snapshot.load();
        let changed = document != current.document || deployment.config != current.config;
        if !changed && !ask_again && current.failed.is_empty() {
            return Ok(Reloaded { changed, failed: Vec::new() });
        }
        let realms = deployment.config.all_realms();
        let (keyring, failed) = current.keyring.reload(&document, &deployment.sources, &realms, ask_again);
        let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
        let snapshot = Snapshot::new(deployment, document, keyring, failed.clone(), &self.metrics);
        self.snapshot.store(Arc::new(snapshot));
        Ok(Reloaded { changed, failed })
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
                let id = || text.parse::<ApiKey>().map_or_else(|_| String::new(), |key| key.id().to_string());
                tracing::debug!(reason = error.code(), id = id(), "not accepted");
            }
        }
        verdict
    }
}

impl Snapshot {
    fn new(
        deployment: &Deployment,
        document: KeyringDocument,
        keyring: Keyring,
        failed: Vec<String>,
        metrics: &Metrics,
    ) -> Self {
        for served in keyring.served() {
            for error in &served.failed {
                tracing::warn!(%error, "a key source failed, and the next one in the list served");
            }
            tracing::info!(version = %served.version, source = %served.source, "key version loaded");
        }
        Snapshot {
            verifier: Verifier::new(&keyring),
            issuer: Issuer::new(&keyring),
            counters: metrics.keyring_loaded(&document),
            default_realms: deployment.config.default_realms(),
            config: deployment.config.clone(),
            keyring,
            failed,
            document,
        }
    }
}
