//! The state that requests see: configuration, keys and revocations, replaced as a whole.

use std::{ops::Deref, sync::Arc};

use bulla::{
    Issuer, Realm, Verifier,
    feed::FeedState,
    keyring::{ExportedKeyring, KeyVersion, Keyring, KeyringDocument, KeyringId},
    layer::CredentialRules,
    revocation::Revocations,
};
use jiff::Timestamp;

use crate::{
    action::{Actor, issue::IssueContext},
    assertion::Assertions,
    config::{AssertionConfig, Config, PepperConfig},
    deployment::{Deployment, DeploymentError},
    imported::ImportedKeys,
    secret::{self, Peppers},
    store::Store,
    telemetry::metrics::{Metrics, VersionCounters},
    tls::Tls,
    verification::{OldSystem, Stale, VerifierState, importing_realms},
};

/// One consistent state. A request loads it once and passes it down, so it never goes by two of them.
pub(crate) struct Snapshot {
    loaded: Arc<Loaded>,
    /// With the keys of `loaded`, and the revocations.
    verifier: Verifier,
    /// The realms whose revocations are older than the configuration allows.
    stale: Stale,
}

/// Configuration, keyring and keys.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) default_realms: Vec<Realm>,
    /// Where keys of these are read from.
    pub(super) default_rules: CredentialRules,
    /// The realms that accept imported keys.
    importing: Vec<Realm>,
    /// Whom to ask about keys that nobody imported.
    pub(super) old_systems: Vec<OldSystem>,
    /// Key versions that an edge has heard of and has no keys of.
    missing: Vec<(Realm, KeyVersion)>,
    pub(crate) document: KeyringDocument,
    pub(crate) issuer: Issuer,
    /// Without revocations.
    verifier: Verifier,
    pub(super) keys: Keys,
    pub(super) counters: VersionCounters,
}

/// The keys of a state, and the settings that they were opened for: the configuration may be newer while sources are
/// asked.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) keyring: Keyring,
    pub(super) peppers: Option<Arc<Peppers>>,
    pub(super) peppers_for: (Option<PepperConfig>, KeyringId),
    pub(super) assertions: Option<Arc<Assertions>>,
    pub(super) assertions_for: AssertionConfig,
    pub(super) tls: Tls,
}

/// What an edge loads beside its exports.
#[derive(Clone)]
pub(super) struct EdgeParts {
    pub(super) config: Config,
    pub(super) tls: Tls,
    assertions: Option<Arc<Assertions>>,
}

impl EdgeParts {
    /// Reads the files that `config` names.
    pub(super) fn load(config: Config) -> Result<Self, DeploymentError> {
        let tls = Tls::load(&config)?;
        let deployment = Deployment::of(config);
        let assertions = deployment.assertions()?.map(Arc::new);
        Ok(EdgeParts { config: deployment.config, tls, assertions })
    }

    /// The same for a changed configuration and changed files, and what failed: that stays as it was.
    pub(super) fn reload(&self, config: Config) -> (Self, Vec<String>) {
        let (tls, mut failed) = self.tls.reload(&config);
        let deployment = Deployment::of(config);
        let assertions = match deployment.assertions() {
            Ok(assertions) => assertions.map(Arc::new),
            Err(error) => {
                failed.push(error.to_string());
                self.assertions.clone()
            }
        };
        (EdgeParts { config: deployment.config, tls, assertions }, failed)
    }
}

impl Snapshot {
    /// With no revocations yet.
    pub(super) fn new(loaded: Loaded) -> Self {
        Snapshot { verifier: loaded.verifier.clone(), loaded: Arc::new(loaded), stale: Stale::Nothing }
    }

    /// The same with another revocation list.
    pub(super) fn with_revocations(&self, revocations: Arc<Revocations>) -> Self {
        let loaded = Arc::clone(&self.loaded);
        Snapshot { verifier: loaded.verifier.with_revocations(revocations), loaded, stale: self.stale.clone() }
    }

    /// The same revocation list with another state.
    pub(super) fn with_loaded(&self, loaded: Arc<Loaded>) -> Self {
        let verifier = loaded.verifier.with_revocations_of(&self.verifier);
        Snapshot { verifier, loaded, stale: self.stale.clone() }
    }

    /// The same, where the revocations have become stale, or are not any more.
    pub(super) fn with_staleness(&self, stale: Stale) -> Self {
        Snapshot { loaded: Arc::clone(&self.loaded), verifier: self.verifier.clone(), stale }
    }

    /// What a verification goes by.
    pub(super) fn state<'s>(&'s self, imported: &'s ImportedKeys) -> VerifierState<'s> {
        let (verifier, stale) = (&self.verifier, &self.stale);
        let Loaded { importing, old_systems, missing, .. } = &*self.loaded;
        VerifierState { verifier, stale, imported, importing, old_systems, missing }
    }

    /// The realms whose revocations are too old to accept a key by, or lack some.
    pub(super) fn stale(&self) -> &Stale {
        &self.stale
    }

    /// Returns whether keys of any realm are verified.
    pub(super) fn is_ready(&self) -> bool {
        self.stale.is_ready()
    }

    /// What keys are verified by.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The versions of the pepper.
    pub(super) fn peppers(&self) -> Option<&Arc<Peppers>> {
        self.keys.peppers.as_ref()
    }

    /// What issuing by this state needs.
    pub(super) fn issue_context<'s>(
        &'s self,
        store: &'s dyn Store,
        actor: &'s Actor,
        now: Timestamp,
    ) -> IssueContext<'s> {
        let state = (&self.issuer, &self.config, self.peppers().map(Arc::as_ref));
        IssueContext::new(state, store, actor, now)
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
            default_rules: config.credential_rules(&config.default_realms()).into_owned(),
            default_realms: config.default_realms(),
            importing: importing_realms(&config),
            old_systems: OldSystem::all(&config),
            missing: Vec::new(),
            config,
            keys,
            document,
        }
    }

    /// What an edge verifies by. It has nothing to issue with: its issuer has no key, and its document is what exports
    /// and feed say of the versions.
    pub(super) fn of_edge(parts: &EdgeParts, exported: &ExportedKeyring, feed: &FeedState, metrics: &Metrics) -> Self {
        let EdgeParts { config, tls, assertions } = parts.clone();
        let document = exported.document(feed.keyring_serial(), feed.versions());
        let keys = Keys {
            keyring: Keyring::empty(exported.id()),
            peppers: None,
            peppers_for: (None, exported.id()),
            assertions,
            assertions_for: config.assertion.clone(),
            tls,
        };
        Loaded {
            verifier: Verifier::of_exports(exported).refusing(feed.refused()),
            issuer: Issuer::new(&keys.keyring),
            counters: metrics.keyring_loaded(&document),
            default_rules: config.credential_rules(&config.default_realms()).into_owned(),
            default_realms: config.default_realms(),
            importing: Vec::new(),
            old_systems: Vec::new(),
            missing: exported.missing(feed.versions()),
            config,
            keys,
            document,
        }
    }

    /// Returns whether the loaded keys are those of this configuration and document, so that it can be put in force
    /// without asking a source. All changes of a configuration take effect together.
    pub(super) fn fits(&self, config: &Config, document: &KeyringDocument) -> bool {
        let tls = |config: &Config| [&config.data.tls, &config.admin.tls, &config.metrics.tls].map(Clone::clone);
        self.keys.peppers_for == (config.pepper.clone(), document.id())
            && self.keys.assertions_for == config.assertion
            && self.config.all_realms() == config.all_realms()
            && tls(&self.config) == tls(config)
    }
}
