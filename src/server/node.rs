//! A node with its state in force, for the work beside requests: it looks at the state again and again. Endpoints see
//! the [`App`] alone.

use std::{ops::Deref, sync::Arc};

use arc_swap::Guard;
use bulla::Realm;
use tokio::sync::watch;

use super::{
    App,
    answers_from_store::FromStore,
    await_key_sources::{self, Started},
    body_budget::BodyBudget,
    core::{Callers, Core, CoreParts},
    failed_calls::FailedCalls,
    failures::Failures,
    feed::Feed,
    fleet::FleetRegistry,
    key_verifier::KeyVerifier,
    live::Live,
    old_system::OldSystems,
    reload::{self, Reloader},
    revocations::RevocationState,
    secrets::SecretChecks,
    snapshot::{Keys, Loaded, Snapshot},
    sweeping::Sweeper,
};
use crate::{
    clock,
    deployment::{Deployment, DeploymentError, consistency},
    imported::ImportedKeys,
    store::{Store, StoreError},
    telemetry::metrics::Metrics,
    tls::Tls,
    verification::read_imported_keys,
};

/// A node.
pub(crate) struct Node {
    app: Arc<App>,
    live: Arc<Live>,
}

impl Deref for Node {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl Node {
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
        let Started { document, mac_key, keyring, peppers } = await_key_sources::ask(&deployment, &*store, wait)?;
        let peppers = peppers.map(Arc::new);
        let tls = Tls::load(&deployment.config)?;
        warn_of_administrators(&*store, peppers.is_some())?;
        consistency::warn(&deployment, &document, &*store, clock::now())?;
        let assertions = deployment.assertions()?.map(Arc::new);
        reload::report(&keyring, Some(&tls));
        metrics.certificates(tls.expiries());
        let feed_key = deployment.feed_key()?;
        deployment.refuse_shared_keys(&document)?;
        let config = deployment.config;
        let peppers_for = (config.pepper.clone(), document.id());
        let keys = Keys { keyring, peppers, peppers_for, assertions, assertions_for: config.assertion.clone(), tls };
        let live = Arc::new(Live::new(Loaded::new(config.clone(), document, keys, &metrics)));
        let health = Arc::new(Failures::default());
        let revocations = Arc::new(RevocationState::load(Arc::clone(&live), Arc::clone(&store))?);
        let list = revocations.list();
        match Sweeper::new(store.sweep_clock()?).restore_all(&*store, &live.load().document, &list) {
            Ok(0) => {}
            Ok(_) => revocations.read()?,
            Err(error) => tracing::warn!(%error, "appending lost revocations to the revocation log failed"),
        }
        let secrets = SecretChecks::load(&config.secret, Arc::clone(&live), Arc::clone(&store), Arc::clone(&metrics))?;
        let secrets = Arc::new(secrets);
        let imported = Arc::new(ImportedKeys::default());
        let parts = (Arc::clone(&store), Arc::clone(&revocations));
        let old_systems = Arc::new(OldSystems::new(parts, Arc::clone(&imported), Arc::clone(&metrics))?);
        let behind = FromStore { secrets: Arc::clone(&secrets), store: Arc::clone(&store), old_systems };
        let verification = KeyVerifier::new(Arc::clone(&live), Arc::clone(&metrics), Box::new(behind), imported);
        read_imported_keys(&verification.imported, &*store, &config, &|| revocations.read())?;
        let mac_key = (config.keyring.mac_source.clone(), mac_key);
        let reloader = Reloader::new(
            Arc::clone(&live),
            Arc::clone(&revocations),
            Arc::clone(&store),
            Arc::clone(&metrics),
            mac_key,
        );
        reloader.forget_destroyed();
        let feed = feed_key.map(|key| Feed::new(key, &config.feed, &live, &revocations, &store, &health));
        let fleet = FleetRegistry::new(Arc::clone(&store), &config.fleet);
        let (bodies, stopping) = (BodyBudget::new(config.server.body_memory()), watch::Sender::new(false));
        let callers = Callers::Administrators;
        let parts = CoreParts { verification, callers, bodies, stopping, metrics, health, config };
        let core = Core::new(Arc::clone(&live), parts);
        let failed_calls = FailedCalls::default();
        let app = App { core, revocations, reloader, secrets, fleet, failed_calls, feed, store };
        Ok(Node { app: Arc::new(app), live })
    }

    /// The parts, for endpoints.
    pub(crate) fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// The state of this moment.
    pub(super) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.live.load()
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
             a [pepper], and issue new ones of the realm `bulla` here with `bulla issue`"
        );
    }
    Ok(())
}
