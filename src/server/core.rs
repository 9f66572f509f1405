//! The part of the service that verifies: the same on a node, which fills it from store and keyring, and on an edge, which fills
//! it from a feed and from exports.

use std::{ops::Deref, sync::Arc};

use arc_swap::Guard;
use tokio::sync::watch;

use super::{
    auth::Callers, budget::BodyBudget, health::Health, live::Live, snapshot::Snapshot, verification::KeyVerifier,
};
use crate::{
    clock,
    config::Config,
    telemetry::{log, metrics::Metrics},
};

/// A handle on the parts; its clones are handles on the same ones.
#[derive(Clone)]
pub(crate) struct Core(Arc<CoreParts>);

/// What the data plane works on.
pub(crate) struct CoreParts {
    /// The state in force, and what replaces it.
    pub(super) live: Arc<Live>,
    pub(super) verification: KeyVerifier,
    /// Who may introspect.
    pub(super) callers: Callers,
    /// The memory for request bodies.
    pub(super) bodies: Arc<BodyBudget>,
    /// Turns true when the service stops: requests that wait for something end.
    pub(super) stopping: watch::Sender<bool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    /// The configuration at the start, for what a running process cannot change.
    pub(crate) config: Config,
}

impl Core {
    pub(super) fn new(parts: CoreParts) -> Self {
        let core = Core(Arc::new(parts));
        core.check_certificates();
        core
    }
}

impl Deref for Core {
    type Target = CoreParts;

    fn deref(&self) -> &CoreParts {
        &self.0
    }
}

impl CoreParts {
    /// The state of this moment.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.live.load()
    }

    /// Warns of certificates that are not valid now: clients refuse them.
    pub(super) fn check_certificates(&self) {
        let (now, snapshot) = (clock::now(), self.live.load());
        let trouble = snapshot.tls().trouble(now);
        if self.health.note("certificate", trouble.clone(), now)
            && let Some(trouble) = trouble
        {
            tracing::warn!("{trouble}");
        }
    }

    /// Shows in the metrics what is only known by counting; of the revocations that takes a walk through the list.
    pub(super) fn show_gauges(&self) {
        let snapshot = self.live.load_full();
        let list = snapshot.verifier().revocations();
        self.metrics.revocations(list.len(), list.memory());
        let imported = self.verification.imported.table();
        self.metrics.imported_keys(imported.len(), imported.memory());
        self.metrics.uses_dropped(self.verification.last_used.dropped());
        self.metrics.log_lines_dropped(log::dropped());
        self.metrics.bodies(self.bodies.used(), self.bodies.refused());
    }
}
