//! The service: the parts that its planes and background tasks share.

use std::{sync::Arc, time::Duration};

use arc_swap::Guard;
use bulla::Realm;
use tokio::sync::watch;

use super::{
    budget::BodyBudget,
    failed_calls::FailedCalls,
    feed::Feed,
    health::Health,
    live::Live,
    reload::{self, Reloader},
    revocations::RevocationState,
    snapshot::{Keys, Loaded, Snapshot},
    start::{self, Started},
    sweeping::Sweeper,
    verification::KeyVerifier,
};
use crate::{
    belonging, clock,
    config::Config,
    deployment::{Deployment, DeploymentError},
    store::{Store, StoreError},
    telemetry::{log, metrics::Metrics},
    tls::Tls,
};

/// The parts of the service.
pub(crate) struct App {
    /// The state in force, and what replaces it.
    pub(super) live: Arc<Live>,
    pub(super) revocations: Arc<RevocationState>,
    pub(super) reloader: Reloader,
    pub(super) verification: KeyVerifier,
    pub(super) planes: Planes,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    /// The configuration at the start, for what a running process cannot change.
    pub(crate) config: Config,
}

/// What belongs to the listeners' planes alone.
pub(super) struct Planes {
    /// The memory for request bodies.
    pub(super) bodies: Arc<BodyBudget>,
    /// Calls to the admin plane that failed.
    pub(super) failed_calls: FailedCalls,
    pub(super) feed: Option<Feed>,
    /// Turns true when the service stops: requests that wait for something end.
    pub(super) stopping: watch::Sender<bool>,
}

impl App {
    /// Opens store and keyring, and asks the key sources; with `wait` until they answer.
    pub(crate) fn load(deployment: Deployment, wait: bool) -> Result<Self, DeploymentError> {
        let store = deployment.store()?;
        Self::load_with(deployment, store, wait)
    }

    /// The same on a store that is open.
    pub(super) fn load_with(
        deployment: Deployment,
        store: Arc<dyn Store>,
        wait: bool,
    ) -> Result<Self, DeploymentError> {
        let metrics = Arc::new(Metrics::new());
        let Started { document, mac_key, keyring, peppers } = start::ask(&deployment, &*store, wait)?;
        let peppers = peppers.map(Arc::new);
        let tls = Tls::load(&deployment.config)?;
        warn_of_administrators(&*store, peppers.is_some())?;
        belonging::warn(&deployment, &document, &*store, clock::now())?;
        let assertions = deployment.assertions()?.map(Arc::new);
        reload::report(&keyring, Some(&tls));
        metrics.certificates(tls.expiries());
        let feed_key = deployment.feed_key()?;
        let config = deployment.config;
        let peppers_for = (config.pepper.clone(), document.id());
        let keys = Keys { keyring, peppers, peppers_for, assertions, assertions_for: config.assertion.clone(), tls };
        let live = Arc::new(Live::new(Loaded::new(config.clone(), document, keys, &metrics)));
        let health = Arc::new(Health::default());
        let revocations = Arc::new(RevocationState::load(Arc::clone(&live), Arc::clone(&store))?);
        let list = revocations.list();
        match Sweeper::new(store.sweep_clock()?).restore_all(&*store, &live.load().document, &list) {
            Ok(0) => {}
            Ok(_) => revocations.read()?,
            Err(error) => tracing::warn!(%error, "appending lost revocations to the revocation log failed"),
        }
        let verification = KeyVerifier::load(Arc::clone(&live), Arc::clone(&store), Arc::clone(&metrics))?;
        let mac_key = (config.keyring.mac_source.clone(), mac_key);
        let reloader = Reloader::new(
            Arc::clone(&live),
            Arc::clone(&revocations),
            Arc::clone(&store),
            Arc::clone(&metrics),
            mac_key,
        );
        reloader.forget_destroyed();
        let feed = feed_key.map(|key| Feed::new(key, &config.feed, &live, &store, &health));
        let planes = Planes {
            bodies: BodyBudget::new(config.server.body_memory()),
            failed_calls: FailedCalls::default(),
            feed,
            stopping: watch::Sender::new(false),
        };
        let app = App { live, revocations, reloader, verification, planes, store, metrics, health, config };
        app.check_certificates();
        Ok(app)
    }

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

    /// Reads what the store's revocation log has more, and which secret halves were changed; it is in force when this returns.
    pub(crate) fn catch_up(&self) -> Result<(), StoreError> {
        let secrets = self.verification.follow_secrets(self.config.secret.cache_ttl.0);
        self.revocations.read().and(secrets)?;
        self.revocations.note_caught_up();
        Ok(())
    }

    /// Shows in the metrics what is only known by counting; of the revocations that takes a walk through the list.
    pub(super) fn show_gauges(&self) {
        let list = self.revocations.list();
        self.metrics.revocations(list.len(), list.memory());
        self.metrics.secret_waiting(self.verification.secrets.waiting());
        self.metrics.imported_keys(self.verification.imported.len());
        self.metrics.uses_dropped(self.verification.last_used.dropped());
        self.metrics.log_lines_dropped(log::dropped());
        self.metrics.bodies(self.planes.bodies.used(), self.planes.bodies.refused());
    }

    /// Waits until the revocation log goes beyond `seq`, the service stops, or `limit` has passed, which is `false`.
    pub(super) async fn log_beyond(&self, seq: u64, limit: Duration) -> bool {
        let (mut newest, mut stopping) = (self.revocations.newest(), self.planes.stopping.subscribe());
        tokio::select! {
            _ = newest.wait_for(|newest| *newest > seq) => true,
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = tokio::time::sleep(limit) => false,
        }
    }
}

/// Administrators' keys of old have no secret half, and are not accepted: a thief of a master key could make such.
fn warn_of_administrators(store: &dyn Store, peppered: bool) -> Result<(), StoreError> {
    let without = store.without_secret(Realm::ADMIN, clock::now())?;
    if without > 0 || !peppered {
        tracing::warn!(
            keys_without = without,
            pepper = peppered,
            "administrators' API keys have secret halves now, and those without are not accepted any more: see that there is \
             a [pepper], and issue new ones here with `bulla issue --realm bulla --app UUID --scope admin`"
        );
    }
    Ok(())
}
