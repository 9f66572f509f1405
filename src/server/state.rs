//! What the service knows: a snapshot that requests read without waiting, and the store behind it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use arc_swap::{ArcSwap, Guard};
use bulla::{
    ApiKey, ApiKeyId, Ask, Issuer, Keyring, KeyringDocument, Opened, Realm, Rejection, Verified, Verifier, VerifyError,
};

use jiff::SignedDuration;
use tokio::sync::watch;

use super::{
    budget::Budget,
    degraded::Degraded,
    feed::Feed,
    freshness::Freshness,
    imported,
    refusals::Refusals,
    revocations::{Held, TakenBack},
    secrets::Secrets,
    sweeping::Sweeper,
};
use crate::{
    assertion::Assertions,
    belonging, clock,
    config::Config,
    deployment::{Deployment, DeploymentError},
    imported::Known,
    last_used::LastUsed,
    secret::{self, Peppers},
    store::{Store, StoreError},
    telemetry::{
        limit::LineLimit,
        log,
        metrics::{Metrics, VersionCounters},
    },
    tls::Tls,
    view::{accepted::Accepted, verdict::Wanted},
};

/// The state of the service.
pub(crate) struct App {
    snapshot: ArcSwap<Snapshot>,
    /// The snapshot's verifier with what is taken back: of all that is swapped it changes most.
    verifier: ArcSwap<Verifier>,
    pub(super) taken_back: TakenBack,
    reloading: Mutex<()>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Metrics,
    pub(crate) freshness: Freshness,
    pub(crate) degraded: Degraded,
    pub(super) refusals: Refusals,
    pub(super) last_used: LastUsed,
    pub(super) imported: Known,
    /// The memory for request bodies.
    pub(super) bodies: Arc<Budget>,
    pub(super) feed: Option<Feed>,
    /// Whether what is known of revocations is older than the configuration allows.
    too_stale: AtomicBool,
    pub(super) secrets: Secrets,
    /// Turns true when the service stops: who waits for something goes home.
    pub(super) stopping: watch::Sender<bool>,
    rejected_lines: LineLimit,
    pub(super) route_lines: LineLimit,
    pub(super) replacement_lines: LineLimit,
    /// As it was at the start: what a running process cannot change.
    pub(crate) config: Config,
}

/// One consistent state of configuration, keyring and keys, swapped as a whole.
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    pub(crate) default_realms: Vec<Realm>,
    pub(crate) document: KeyringDocument,
    /// Without revocations.
    verifier: Verifier,
    pub(crate) issuer: Issuer,
    keyring: Keyring,
    pub(super) peppers: Option<Arc<Peppers>>,
    pub(super) tls: Tls,
    pub(super) assertions: Option<Arc<Assertions>>,
    /// What of the keyring could not be loaded.
    failed: Vec<String>,
    counters: VersionCounters,
}

/// The keys of a snapshot.
struct Keys {
    keyring: Keyring,
    peppers: Option<Arc<Peppers>>,
    assertions: Option<Arc<Assertions>>,
    tls: Tls,
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
        let peppers = deployment.peppers(&document)?.map(Arc::new);
        let tls = Tls::load(&deployment.config)?;
        warn_of_administrators(&*store, peppers.is_some())?;
        belonging::warn(&deployment, &document, &*store, clock::now())?;
        let assertions = deployment.assertions()?.map(Arc::new);
        let snapshot =
            Snapshot::new(&deployment, document, Keys { keyring, peppers, assertions, tls }, Vec::new(), &metrics);
        let feed = Feed::load(&deployment)?;
        let secrets = Secrets::load(&deployment.config.secret, &*store)?;
        let config = deployment.config;
        let freshness = Freshness::new(config.keyring.refresh_interval.0);
        if let Err(error) = Sweeper::new(store.sweep_clock()?).restore_all(&*store, &snapshot.document) {
            tracing::warn!(%error, "revocations that the log lost could not be appended to it");
        }
        let taken_back = TakenBack::load(&*store, clock::now_seconds())?;
        let imported = Known::default();
        imported::read_on(&imported, &*store, &config)?;
        let app = App {
            verifier: ArcSwap::from_pointee(snapshot.verifier.clone()),
            snapshot: ArcSwap::from_pointee(snapshot),
            taken_back,
            reloading: Mutex::new(()),
            store,
            metrics,
            freshness,
            degraded: Degraded::default(),
            refusals: Refusals::default(),
            last_used: LastUsed::new(config.last_used.max_ids),
            imported,
            bodies: Budget::new(config.server.body_memory()),
            feed,
            too_stale: AtomicBool::new(false),
            secrets,
            stopping: watch::Sender::new(false),
            rejected_lines: LineLimit::new(),
            route_lines: LineLimit::new(),
            replacement_lines: LineLimit::new(),
            config,
        };
        let mut held = app.taken_back.hold();
        held.forget_destroyed(&app.snapshot().document);
        app.publish(&held);
        drop(held);
        app.look_at_certificates();
        Ok(app)
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
        let (tls, tls_failed) = current.tls.reload(&deployment.config);
        let changed = document != current.document || deployment.config != current.config || tls != current.tls;
        if !changed && !ask_again && current.failed.is_empty() {
            return Ok(Reloaded { changed, failed: tls_failed });
        }
        let realms = deployment.config.all_realms();
        let ask = if ask_again { Ask::All } else { Ask::Missing };
        let (keyring, failed) = current.keyring.reload(&document, &deployment.sources, &realms, ask);
        let mut failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
        let peppers = match current.peppers(deployment, &document, ask_again) {
            Ok(peppers) => peppers,
            Err(error) => {
                failed.push(error.to_string());
                current.peppers.clone()
            }
        };
        let assertions = match current.assertions(deployment, ask_again) {
            Ok(assertions) => assertions,
            Err(error) => {
                failed.push(error.to_string());
                current.assertions.clone()
            }
        };
        let keys = Keys { keyring, peppers, assertions, tls };
        let snapshot = Snapshot::new(deployment, document, keys, failed.clone(), &self.metrics);
        let mut held = self.taken_back.hold();
        held.forget_destroyed(&snapshot.document);
        self.snapshot.store(Arc::new(snapshot));
        self.publish(&held);
        failed.extend(tls_failed);
        Ok(Reloaded { changed, failed })
    }

    /// Says of certificates that they do not count now, as whoever calls will find.
    pub(super) fn look_at_certificates(&self) {
        let (now, snapshot) = (clock::now(), self.snapshot.load());
        let trouble = snapshot.tls.trouble(now);
        if self.degraded.note("certificate", trouble.clone(), now)
            && let Some(trouble) = trouble
        {
            tracing::warn!("{trouble}");
        }
    }

    /// Reads what the store's log of revocations has more; it is in force when this returns.
    pub(crate) fn catch_up(&self) -> Result<(), StoreError> {
        let now = clock::now_seconds();
        let remembered = self.config.secret.cache_ttl.0.as_secs();
        let secrets = self.secrets.read_on(&*self.store, remembered, now);
        let mut held = self.taken_back.hold();
        let read = held.read_on(&*self.store, clock::now_seconds());
        // What was read before a failure counts too.
        if !matches!(read, Ok(false)) {
            self.publish(&held);
        }
        read.and(secrets)
    }

    /// What of the store cannot be read, and holds nothing else up.
    pub(super) fn look_at_damage(&self) -> Result<(), String> {
        let damage = self.taken_back.hold().damage(&*self.store);
        let (rows, damage) = damage.map_err(|error| error.to_string())?;
        self.metrics.damaged_rows("revocations", rows);
        damage.map_or(Ok(()), Err)
    }

    /// Revokes keys whose grace period is over; no store is needed for that.
    pub(super) fn end_grace_periods(&self) {
        let mut held = self.taken_back.hold();
        if held.due(clock::now_seconds()) {
            self.publish(&held);
        }
    }

    /// Shows in the metrics what is only known by looking; at the list that takes a walk through it.
    pub(super) fn show_gauges(&self) {
        let list = self.taken_back.hold().list();
        self.metrics.revocations(list.len(), list.memory());
        self.metrics.secret_waiting(self.secrets.waiting());
        self.metrics.imported_keys(self.imported.len());
        self.metrics.uses_dropped(self.last_used.dropped());
        self.metrics.log_lines_dropped(log::dropped());
        self.metrics.bodies_refused(self.bodies.refused());
    }

    /// Forgets keys that had expired at `at`, in Unix seconds, in one part of the list.
    pub(super) fn sweep_part(&self, part: usize, at: u64) {
        let mut held = self.taken_back.hold();
        held.sweep_part(part, at);
        self.publish(&held);
    }

    /// Puts the list in force. Whoever does so holds it, so that no older one wins over a newer one.
    fn publish(&self, held: &Held<'_>) {
        let list = held.list();
        self.verifier.store(Arc::new(self.snapshot.load().verifier.with_revocations(list)));
    }

    /// Looks whether what is known of revocations has become too old to judge by.
    pub(super) fn look_at_staleness(&self) {
        let since = self.degraded.since("revocations");
        let limit = self.snapshot().config.verify.max_staleness.map(|limit| limit.0);
        let too_stale = since.zip(limit).is_some_and(|(since, limit)| {
            SignedDuration::try_from(limit).is_ok_and(|limit| clock::now().duration_since(since) >= limit)
        });
        if self.too_stale.swap(too_stale, Ordering::Relaxed) != too_stale {
            tracing::error!(too_stale, "the log of revocations: whether it is unread for longer than is allowed");
        }
    }

    /// Whether keys can be judged.
    pub(super) fn is_ready(&self) -> bool {
        !self.too_stale.load(Ordering::Relaxed)
    }

    /// Judges a presented key now, a sealed one or one that was imported, and counts how that ended.
    pub(crate) async fn judge(self: &Arc<Self>, text: &str, wanted: &Wanted) -> Result<Accepted, VerifyError> {
        let now = clock::now_seconds();
        let mut verdict = self.verify_sealed(text, wanted, now).await.map(Accepted::Sealed);
        if let Err(VerifyError::Rejected(Rejection::Malformed | Rejection::Checksum)) = verdict
            // What is rare is boxed, here and below: its state would be copied with that of every request.
            && let Some(imported) = Box::pin(self.judge_imported(text, wanted)).await
        {
            verdict = imported.map(Accepted::Imported);
        }
        self.count(verdict.as_ref().map(Accepted::id).map_err(|error| *error), text, now);
        verdict
    }

    /// Verifies a presented sealed key now, its secret half too, and counts how that ended.
    pub(crate) async fn verify(self: &Arc<Self>, text: &str, wanted: &Wanted) -> Result<Verified, VerifyError> {
        let now = clock::now_seconds();
        let verdict = self.verify_sealed(text, wanted, now).await;
        self.count(verdict.as_ref().map(Verified::id).map_err(|error| *error), text, now);
        verdict
    }

    /// Verifies an API key again that was verified before. That is no use of it, and not counted.
    pub(super) async fn verify_again(self: &Arc<Self>, text: &str, wanted: &Wanted) -> Result<Verified, VerifyError> {
        self.verify_sealed(text, wanted, clock::now_seconds()).await
    }

    async fn verify_sealed(self: &Arc<Self>, text: &str, wanted: &Wanted, now: u64) -> Result<Verified, VerifyError> {
        match wanted.open(&self.verifier.load(), text, now) {
            Ok(_) if !self.is_ready() => Err(self.could_not_tell("stale")),
            Ok(Opened::Verified(verified)) => Ok(verified),
            Ok(Opened::Secret(check)) => match Box::pin(self.prove(text, &check)).await {
                // By now it may have been revoked, and must not come back.
                Ok(()) => wanted.accept(check, &self.verifier.load(), clock::now_seconds()),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The verifier as it is now, with what is taken back.
    pub(super) fn verifier(&self) -> Guard<Arc<Verifier>> {
        self.verifier.load()
    }

    /// Opens a presented key now: all but its secret half is judged, and nothing counted.
    pub(super) fn open(&self, text: &str, wanted: &Wanted) -> Result<Opened, VerifyError> {
        wanted.open(&self.verifier.load(), text, clock::now_seconds())
    }

    fn count(&self, verdict: Result<ApiKeyId, VerifyError>, text: &str, now: u64) {
        match verdict {
            Ok(id) => {
                match id.version() {
                    0 => drop(self.metrics.imported_accepted.inc()),
                    version => self.snapshot.load().counters.accepted(version),
                }
                self.last_used.note(id, now);
            }
            Err(error) => {
                self.metrics.not_accepted(error);
                if error == VerifyError::Rejected(Rejection::VersionUnknown) && self.freshness.want_refresh() {
                    self.metrics.unknown_version_refreshes.inc();
                }
                if tracing::enabled!(tracing::Level::DEBUG)
                    && let Some(kept_back) = self.rejected_lines.allow(Instant::now())
                {
                    let id = text.parse::<ApiKey>().map_or_else(|_| String::new(), |key| key.id().to_string());
                    tracing::debug!(reason = error.code(), id, kept_back, "not accepted");
                }
            }
        }
    }
}

impl Snapshot {
    /// The pepper for another document or configuration: asked for anew only where it may be another.
    fn peppers(
        &self,
        deployment: &Deployment,
        document: &KeyringDocument,
        ask_again: bool,
    ) -> Result<Option<Arc<Peppers>>, DeploymentError> {
        let same = deployment.config.pepper == self.config.pepper && document.id() == self.document.id();
        if same && !ask_again {
            return Ok(self.peppers.clone());
        }
        Ok(deployment.peppers(document)?.map(Arc::new))
    }

    /// What signs assertions under another configuration.
    fn assertions(&self, deployment: &Deployment, ask_again: bool) -> Result<Option<Arc<Assertions>>, DeploymentError> {
        if deployment.config.assertion == self.config.assertion && !ask_again {
            return Ok(self.assertions.clone());
        }
        Ok(deployment.assertions()?.map(Arc::new))
    }

    fn new(
        deployment: &Deployment,
        document: KeyringDocument,
        Keys { keyring, peppers, assertions, tls }: Keys,
        failed: Vec<String>,
        metrics: &Metrics,
    ) -> Self {
        for served in keyring.served() {
            for error in &served.failed {
                tracing::warn!(%error, "a key source failed, and the next one in the list served");
            }
            tracing::info!(version = %served.version, source = %served.source, "key version loaded");
        }
        for (listener, tls) in tls.all() {
            tracing::info!(%listener, until = %tls.validity.until, "certificate loaded");
        }
        metrics.certificates(&tls);
        Snapshot {
            verifier: Verifier::new(&keyring).requiring_secrets(&secret::requiring(&deployment.config)),
            issuer: Issuer::new(&keyring),
            counters: metrics.keyring_loaded(&document),
            default_realms: deployment.config.default_realms(),
            config: deployment.config.clone(),
            keyring,
            peppers,
            tls,
            assertions,
            failed,
            document,
        }
    }
}

/// Administrators' keys of old have no secret half, and are not accepted: whoever stole a master key could make such.
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
