//! What requests see: one state of configuration, keys and revocations, swapped as a whole.

use std::{ops::Deref, sync::Arc};

use bulla::{Issuer, Keyring, KeyringDocument, KeyringId, Realm, Revocations, Verifier};

use crate::{
    assertion::Assertions,
    config::{AssertionConfig, Config, PepperConfig},
    secret::{self, Peppers},
    telemetry::metrics::{Metrics, VersionCounters},
    tls::Tls,
};

/// One consistent state. A request loads it once and passes it down, so it never judges by two of them.
pub(crate) struct Snapshot {
    loaded: Arc<Loaded>,
    /// The keys of that, with the revocations.
    verifier: Verifier,
}

/// Configuration, keyring and keys.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) default_realms: Vec<Realm>,
    pub(crate) document: KeyringDocument,
    pub(crate) issuer: Issuer,
    /// Without revocations.
    verifier: Verifier,
    pub(super) keys: Keys,
    pub(super) counters: VersionCounters,
}

/// The keys of a state, and what they were opened for: the configuration may be ahead of them while sources are asked.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) keyring: Keyring,
    pub(super) peppers: Option<Arc<Peppers>>,
    pub(super) peppers_for: (Option<PepperConfig>, KeyringId),
    pub(super) assertions: Option<Arc<Assertions>>,
    pub(super) assertions_for: AssertionConfig,
    pub(super) tls: Tls,
}

impl Snapshot {
    pub(super) fn new(loaded: Loaded, revocations: Arc<Revocations>) -> Self {
        Snapshot { verifier: loaded.verifier.with_revocations(revocations), loaded: Arc::new(loaded) }
    }

    /// The same with another revocation list.
    pub(super) fn with_revocations(&self, revocations: Arc<Revocations>) -> Self {
        let loaded = Arc::clone(&self.loaded);
        Snapshot { verifier: loaded.verifier.with_revocations(revocations), loaded }
    }

    /// The same revocation list with another state.
    pub(super) fn with_loaded(&self, loaded: Arc<Loaded>) -> Self {
        Snapshot { verifier: loaded.verifier.with_revocations_of(&self.verifier), loaded }
    }

    /// What keys are verified by.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The versions of the pepper.
    pub(super) fn peppers(&self) -> Option<&Arc<Peppers>> {
        self.keys.peppers.as_ref()
    }

    /// What signs assertions.
    pub(super) fn assertions(&self) -> Option<&Assertions> {
        self.keys.assertions.as_deref()
    }

    /// TLS of the listeners.
    pub(super) fn tls(&self) -> &Tls {
        &self.keys.tls
    }
}

impl Deref for Snapshot {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.loaded
    }
}

impl Loaded {
    pub(super) fn new(config: Config, document: KeyringDocument, keys: Keys, metrics: &Metrics) -> Self {
        Loaded {
            verifier: Verifier::new(&keys.keyring).requiring_secrets(&secret::requiring(&config)),
            issuer: Issuer::new(&keys.keyring),
            counters: metrics.keyring_loaded(&document),
            default_realms: config.default_realms(),
            config,
            keys,
            document,
        }
    }
}

impl Loaded {
    /// Whether the keys at hand are those of this configuration and document, so that it can be put in force without asking
    /// anybody. What a configuration changes together takes effect together.
    pub(super) fn fits(&self, config: &Config, document: &KeyringDocument) -> bool {
        let tls = |config: &Config| [&config.data.tls, &config.admin.tls, &config.metrics.tls].map(Clone::clone);
        self.keys.peppers_for == (config.pepper.clone(), document.id())
            && self.keys.assertions_for == config.assertion
            && self.config.all_realms() == config.all_realms()
            && tls(&self.config) == tls(config)
    }
}
