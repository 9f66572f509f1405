//! Loads a changed keyring and configuration, in two steps. The first puts the document in force at once, with the keys
//! that are loaded. The second asks the key sources for missing keys. A source that hangs does not delay the first
//! step.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use bulla::{
    keyring::{KeyVersion, Keyring, KeyringDocument, KeyringError, KeyringMemory, MacKey, Reload},
    source::SourceUri,
};

use crate::{
    config::Config,
    deployment::{Deployment, DeploymentError, read_keyring},
    server::{
        live::Live,
        revocations::RevocationState,
        snapshot::{Keys, Loaded},
    },
    store::{KeyringMemories, Store},
    telemetry::metrics::Metrics,
};

/// How long a changed keyring waits for the store's memory of it.
const MEMORY_LIMIT: Duration = Duration::from_millis(500);

/// The result of publishing.
pub(crate) struct Published {
    /// Whether it differs from what was in force before.
    pub(crate) changed: bool,
    /// Errors that do not stop the rest.
    pub(crate) failed: Vec<String>,
}

/// The result of asking the key sources.
pub(crate) struct SourcesOutcome {
    /// Whether the certificates changed.
    pub(crate) changed: bool,
    /// Errors that do not stop the rest.
    pub(crate) failed: Vec<String>,
}

/// Puts changed configurations and keyrings in force.
pub(crate) struct Reloader {
    live: Arc<Live>,
    revocations: Arc<RevocationState>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// Held while a snapshot of another keyring or configuration is put in place, and never while a key source is
    /// asked.
    reloading: Mutex<()>,
    /// The keyring's MAC key, and the source that it came from.
    mac_key: Mutex<(SourceUri, Arc<MacKey>)>,
    /// The newest configuration. One that takes other keys is in force once their sources were asked.
    wanted: Mutex<Config>,
}

impl Reloader {
    pub(in crate::server) fn new(
        live: Arc<Live>,
        revocations: Arc<RevocationState>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        mac_key: (SourceUri, Arc<MacKey>),
    ) -> Self {
        let wanted = Mutex::new(live.load().config.clone());
        Reloader { live, revocations, store, metrics, reloading: Mutex::new(()), mac_key: Mutex::new(mac_key), wanted }
    }

    /// The deployment of a configuration, with the MAC key that is loaded.
    pub(crate) fn deployment_of(&self, config: Config) -> Deployment {
        let at_hand = lock(&self.mac_key);
        let mac_key = (at_hand.0 == config.keyring.mac_source).then(|| Arc::clone(&at_hand.1));
        drop(at_hand);
        Deployment { mac_key, ..Deployment::of(config) }
    }

    /// Reads the keyring document and puts it in force, with the keys that are loaded. It waits neither for a key
    /// source nor for a writer of the store. A configuration that needs other keys is put in force by the next
    /// [`Reloader::ask_sources`], any other one at once. [`KeyringError::MacWrong`] means that the document is under
    /// another MAC key than the loaded one: see [`Reloader::ask_mac_key`].
    pub(crate) fn publish(&self, config: Option<Config>) -> Result<Published, DeploymentError> {
        // One at a time, from reading to putting in place, or an older document could win over a newer one.
        let _one_at_a_time = lock(&self.reloading);
        if let Some(config) = &config {
            lock(&self.wanted).clone_from(config);
        }
        self.publish_alone(config.unwrap_or_else(|| self.live.load().config.clone()))
    }

    /// The same with the newest configuration.
    pub(crate) fn publish_again(&self) -> Result<Published, DeploymentError> {
        let _one_at_a_time = lock(&self.reloading);
        let config = self.wanted();
        self.publish_alone(config)
    }

    /// The newest configuration that could be loaded.
    pub(crate) fn wanted(&self) -> Config {
        lock(&self.wanted).clone()
    }

    /// Keeps the configuration in force instead of this one, whose keyring cannot be read: once it was in force, no
    /// change of the keyring would be seen.
    pub(crate) fn abandon(&self, config: &Config) {
        let mut wanted = lock(&self.wanted);
        if *wanted == *config {
            wanted.clone_from(&self.live.load().config);
        }
    }

    fn publish_alone(&self, config: Config) -> Result<Published, DeploymentError> {
        let current = self.live.load_full();
        let deployment = self.deployment_of(config);
        let (memories, failed) = self.memories_at_hand();
        let document = at_hand(&deployment)?;
        if document.id() == current.document.id() {
            KeyringMemory::after(&current.document).check(&document)?;
        }
        if let Some(memory) = memories.known.get(&document.id()) {
            memory.check(&document)?;
        }
        let changed = document != current.document || deployment.config != current.config;
        if changed {
            let fits = current.fits(&deployment.config, &document);
            let config = if fits { deployment.config } else { current.config.clone() };
            let keyring = Keyring::follow(&[&current.keys.keyring], &document, &config.all_realms());
            self.put_in_force(config, document, Keys { keyring, ..current.keys.clone() });
        }
        Ok(Published { changed, failed })
    }

    /// What the store remembers of keyrings. A store that fails or hangs must not delay a compromise: then the memory
    /// of this process suffices.
    fn memories_at_hand(&self) -> (KeyringMemories, Vec<String>) {
        let (tell, told) = mpsc::sync_channel(1);
        let store = Arc::clone(&self.store);
        let asked = thread::Builder::new().name("keyring memory".to_owned()).spawn(move || {
            // Nobody waits for a late answer.
            let _late = tell.send(store.keyring_memories());
        });
        match asked.map(|_| told.recv_timeout(MEMORY_LIMIT)) {
            Ok(Ok(Ok(memories))) => (memories, Vec::new()),
            Ok(Ok(Err(error))) => (KeyringMemories::default(), vec![error.to_string()]),
            Ok(Err(_)) => {
                (KeyringMemories::default(), vec!["the store does not say what it remembers of the keyring".to_owned()])
            }
            Err(error) => (KeyringMemories::default(), vec![error.to_string()]),
        }
    }

    /// The caller holds `reloading`.
    fn put_in_force(&self, config: Config, document: KeyringDocument, keys: Keys) {
        self.metrics.certificates(keys.tls.expiries());
        self.live.load().config.warn_of_lost(&config);
        self.live.put_loaded(Loaded::new(config, document, keys, &self.metrics));
    }

    /// Asks the source of the MAC key for the key of the document as it is in its place now.
    pub(crate) fn ask_mac_key(&self) -> Result<(), DeploymentError> {
        let deployment = Deployment::of(lock(&self.wanted).clone());
        let config = &deployment.config;
        let text = read_keyring(&deployment.keyring_path()?)?;
        let key = MacKey::for_document(&text, &config.keyring.mac_source, &deployment.sources)?;
        // The loaded key is replaced only if the document's MAC is right under the new one.
        KeyringDocument::parse_with(&text, &key)?;
        let at_hand = (config.keyring.mac_source.clone(), Arc::new(key));
        *lock(&self.mac_key) = at_hand;
        Ok(())
    }

    /// Asks key sources, and puts their keys in force with the document that is current by then. Errors are returned;
    /// keys that are loaded stay in force.
    pub(crate) fn ask_sources(&self, ask: Reload) -> SourcesOutcome {
        let before = self.live.load_full();
        let (again, all) = (ask == Reload::All, !matches!(ask, Reload::Version(_)));
        let wanted = if all { lock(&self.wanted).clone() } else { before.config.clone() };
        let fits = before.fits(&wanted, &before.document);
        let deployment = self.deployment_of(wanted);
        let wanted = &deployment.config;
        let realms = wanted.all_realms();
        let ((keyring, errors), peppers, assertions, shared, (tls, tls_failed)) = thread::scope(|scope| {
            let others = again || !fits;
            let peppers = others.then(|| scope.spawn(|| deployment.peppers(&before.document)));
            let assertions = others.then(|| scope.spawn(|| deployment.assertions()));
            let shared = others.then(|| scope.spawn(|| deployment.shared_keys(&before.document, true)));
            let keyring = before.keys.keyring.reload(&before.document, &deployment.sources, &realms, ask);
            let tls = if all { before.keys.tls.reload(wanted) } else { (before.keys.tls.clone(), Vec::new()) };
            (keyring, peppers.map(joined), assertions.map(joined), shared.map(joined), tls)
        });
        let mut failed: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let peppers = peppers.and_then(|opened| opened.map_err(|error| failed.push(error.to_string())).ok());
        let assertions = assertions.and_then(|opened| opened.map_err(|error| failed.push(error.to_string())).ok());
        // A key that serves two purposes is not put in force for another one. The keyring is, whatever they are.
        let shared = shared.unwrap_or_default();
        let is_refused = shared.iter().any(|shared| shared.refused);
        failed.extend(shared.into_iter().map(|shared| shared.error.to_string()));
        let (peppers, assertions) = if is_refused { (None, None) } else { (peppers, assertions) };
        failed.extend(tls_failed);
        let changed = tls != before.keys.tls;
        if again || !fits || changed || !before.keys.keyring.unloaded().is_empty() {
            report(&keyring, changed.then_some(&tls));
            let _one_at_a_time = lock(&self.reloading);
            // By now another document may be in force, or another configuration may be wanted, which is asked for next.
            let current = self.live.load_full();
            let is_wanted = all && *lock(&self.wanted) == *wanted;
            let config = if is_wanted { wanted.clone() } else { current.config.clone() };
            let document = current.document.clone();
            let mut keys = current.keys.clone();
            keys.keyring = Keyring::follow(&[&keyring, &current.keys.keyring], &document, &config.all_realms());
            if is_wanted {
                keys.tls = tls;
                if let Some(peppers) = peppers {
                    keys.peppers = peppers.map(Arc::new);
                    keys.peppers_for = (config.pepper.clone(), before.document.id());
                }
                if let Some(assertions) = assertions {
                    keys.assertions = assertions.map(Arc::new);
                    keys.assertions_for = config.assertion.clone();
                }
            }
            self.put_in_force(config, document, keys);
        }
        SourcesOutcome { changed, failed }
    }

    /// Puts in force a keyring change that this process made, and loads this version. It asks no other source,
    /// so that a compromise is answered at once. Returns errors.
    pub(crate) fn take_up(&self, loaded: Option<KeyVersion>) -> Vec<String> {
        let mut failed = match self.publish(None) {
            Ok(published) => published.failed,
            Err(error) => vec![error.to_string()],
        };
        self.forget_destroyed();
        if let Some(version) = loaded {
            failed.extend(self.ask_sources(Reload::Version(version)).failed);
        }
        let snapshot = self.live.load();
        if let Some(active) = snapshot.keys.keyring.active()
            && snapshot.keys.keyring.unloaded().contains(&active)
            && failed.is_empty()
        {
            failed.push(format!("version {active} is active and not loaded here yet: its source is going to be asked"));
        }
        failed
    }

    /// Lets the store remember the document in force, so that no process takes an older one.
    pub(crate) fn remember(&self) -> Result<(), DeploymentError> {
        let document = self.live.load().document.clone();
        let (seen, memories) = (KeyringMemory::after(&document), self.store.keyring_memories()?);
        if memories.known.get(&document.id()) != Some(&seen) {
            self.store.remember_keyring(document.id(), &seen)?;
        }
        Ok(())
    }

    /// Forgets revoked ids of versions that are destroyed: none of their keys opens any more.
    pub(crate) fn forget_destroyed(&self) {
        self.revocations.forget_destroyed(&self.live.load().document);
    }
}

/// The document under the loaded MAC key, without asking a source.
fn at_hand(deployment: &Deployment) -> Result<KeyringDocument, DeploymentError> {
    let text = read_keyring(&deployment.keyring_path()?)?;
    let key = deployment.mac_key.as_ref().ok_or(KeyringError::MacWrong)?;
    Ok(KeyringDocument::parse_with(&text, key)?)
}

/// Logs the source of each version, and the certificates.
pub(in crate::server) fn report(keyring: &Keyring, tls: Option<&crate::tls::Tls>) {
    for served in keyring.source_reports() {
        for error in &served.failed {
            tracing::warn!(%error, "a key source failed, and the next one in the list served");
        }
        tracing::info!(version = %served.version, source = %served.source, "key version loaded");
    }
    for (listener, tls) in tls.into_iter().flat_map(|tls| tls.all()) {
        tracing::info!(%listener, until = %tls.validity.until, "certificate loaded");
    }
}

/// The value is whole even after a panic: it is replaced in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
