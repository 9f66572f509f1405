//! The part of the service that verifies: the same on a node, which fills it from store and keyring, and on an edge,
//! which fills it from a feed and from exports. A request gets the state that it goes by at the [`Door`], and nowhere
//! else.

mod callers;
mod door;

use std::{ops::Deref, sync::Arc};

use tokio::sync::watch;

pub(super) use self::{callers::Callers, door::Door};
use super::{
    body_budget::BodyBudget, failures::Failures, key_verifier::KeyVerifier, listener::Environment, live::Live,
};
use crate::{
    clock,
    config::{Config, Plane},
    telemetry::{log, metrics::Metrics},
};

/// A handle on the parts; its clones are handles on the same ones.
#[derive(Clone)]
pub(crate) struct Core(Arc<Inner>);

struct Inner {
    /// The state in force, and what replaces it. Handlers cannot name it: they would load it twice.
    live: Arc<Live>,
    parts: CoreParts,
}

/// What the data plane works on.
pub(crate) struct CoreParts {
    pub(super) verification: KeyVerifier,
    /// Who may introspect.
    pub(super) callers: Callers,
    /// The memory for request bodies.
    pub(super) bodies: Arc<BodyBudget>,
    /// Turns true when the service stops: requests that wait for something end.
    pub(super) stopping: watch::Sender<bool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Failures>,
    /// The configuration at the start, for what a running process cannot change.
    pub(crate) config: Config,
}

impl Deref for Core {
    type Target = CoreParts;

    fn deref(&self) -> &CoreParts {
        &self.0.parts
    }
}

impl Core {
    pub(super) fn new(live: Arc<Live>, parts: CoreParts) -> Self {
        let core = Core(Arc::new(Inner { live, parts }));
        core.check_certificates();
        core
    }

    /// Tells of each keyring that is put in force from now on.
    pub(super) fn keyrings(&self) -> watch::Receiver<u64> {
        self.0.live.keyrings()
    }

    /// Tells whether keys are verified, and of each change of that, to at most about so many at a time.
    pub(super) fn watch_readiness(&self, most: usize) -> Option<watch::Receiver<bool>> {
        self.0.live.watch_readiness(most)
    }

    /// Warns of certificates that are not valid now: clients refuse them.
    pub(super) fn check_certificates(&self) {
        let (now, snapshot) = (clock::now(), self.0.live.load());
        let trouble = snapshot.tls().trouble(now);
        if self.health.note("certificate", trouble.clone(), now)
            && let Some(trouble) = trouble
        {
            tracing::warn!("{trouble}");
        }
    }

    /// Shows in the metrics what is only known by counting; of the revocations that takes a walk through the list.
    pub(super) fn show_gauges(&self) {
        let snapshot = self.0.live.load_full();
        let list = snapshot.verifier().revocations();
        self.metrics.revocations(list.len(), list.memory());
        let imported = self.verification.imported.table();
        self.metrics.imported_keys(imported.len(), imported.memory());
        self.metrics.uses_dropped(self.verification.last_used.dropped());
        self.metrics.log_lines_dropped(log::dropped());
        self.metrics.bodies(self.bodies.used(), self.bodies.refused());
    }
}

impl Environment for Core {
    fn tls(&self, plane: Plane) -> Option<Arc<rustls::ServerConfig>> {
        self.0.live.load().tls().of(plane).map(|tls| Arc::clone(&tls.config))
    }

    fn handshake_failed(&self, plane: Plane) {
        self.metrics.handshake_failed(plane);
    }

    fn connection_evicted(&self, plane: Plane) {
        self.metrics.connection_evicted(plane);
    }
}
