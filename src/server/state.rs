//! What the service knows: a snapshot that requests read without waiting, and the store behind it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, Guard};
use bulla::{ApiKey, ApiKeyId, Opened, Realm, Rejection, Verified, VerifyError};
use jiff::SignedDuration;
use tokio::sync::watch;

use super::{
    budget::Budget,
    degraded::Degraded,
    feed::Feed,
    freshness::Freshness,
    imported,
    refusals::Refusals,
    reload::{self, MacKeyAtHand},
    revocations::{Held, TakenBack},
    secrets::Secrets,
    snapshot::{Keys, Loaded, Snapshot},
    start::{self, Started},
    sweeping::Sweeper,
};
use crate::{
    api::{accepted::Accepted, verdict::Wanted},
    belonging, clock,
    config::Config,
    deployment::{Deployment, DeploymentError},
    imported::ImportedKeys,
    last_used::LastUsed,
    store::{Store, StoreError},
    telemetry::{limit::LineLimit, log, metrics::Metrics},
    tls::Tls,
};

/// The state of the service.
pub(crate) struct App {
    pub(super) snapshot: ArcSwap<Snapshot>,
    pub(super) taken_back: TakenBack,
    /// Held while a snapshot of another keyring or configuration is put in place, and never while somebody is asked.
    pub(super) reloading: Mutex<()>,
    pub(super) mac_key: Mutex<MacKeyAtHand>,
    /// The newest configuration. One that takes other keys is in force once their sources were asked.
    pub(super) wanted: Mutex<Config>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Metrics,
    pub(crate) freshness: Freshness,
    pub(crate) degraded: Degraded,
    pub(super) refusals: Refusals,
    pub(super) last_used: LastUsed,
    pub(super) imported: ImportedKeys,
    /// The memory for request bodies.
    pub(super) bodies: Arc<Budget>,
    pub(super) feed: Option<Feed>,
    /// Whether what is known of revocations is older than the configuration allows.
    too_stale: AtomicBool,
    /// When the log of revocations was read to its end last.
    caught_up: Mutex<Instant>,
    pub(super) secrets: Secrets,
    /// Turns true when the service stops: who waits for something goes home.
    pub(super) stopping: watch::Sender<bool>,
    rejected_lines: LineLimit,
    pub(super) route_lines: LineLimit,
    pub(super) replacement_lines: LineLimit,
    /// As it was at the start: what a running process cannot change.
    pub(crate) config: Config,
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
        let metrics = Metrics::new();
        let Started { document, mac_key, keyring, peppers } = start::ask(&deployment, &*store, wait)?;
        let peppers = peppers.map(Arc::new);
        let tls = Tls::load(&deployment.config)?;
        warn_of_administrators(&*store, peppers.is_some())?;
        belonging::warn(&deployment, &document, &*store, clock::now())?;
        let assertions = deployment.assertions()?.map(Arc::new);
        reload::report(&keyring, Some(&tls));
        metrics.certificates(tls.expiries());
        let feed = Feed::load(&deployment)?;
        let secrets = Secrets::load(&deployment.config.secret, &*store)?;
        let config = deployment.config;
        let peppers_for = (config.pepper.clone(), document.id());
        let keys = Keys { keyring, peppers, peppers_for, assertions, assertions_for: config.assertion.clone(), tls };
        let loaded = Loaded::new(config.clone(), document, keys, &metrics);
        let freshness = Freshness::new(config.keyring.refresh_interval.0);
        let taken_back = TakenBack::load(&*store, clock::now_seconds())?;
        let list = taken_back.hold().list();
        match Sweeper::new(store.sweep_clock()?).restore_all(&*store, &loaded.document, &list) {
            Ok(0) => {}
            Ok(_) => drop(taken_back.hold().read_on(&*store, clock::now_seconds())?),
            Err(error) => tracing::warn!(%error, "revocations that the log lost could not be appended to it"),
        }
        let imported = ImportedKeys::default();
        imported::read_on(&imported, &*store, &config)?;
        let app = App {
            snapshot: ArcSwap::from_pointee(Snapshot::new(loaded, Arc::default())),
            taken_back,
            reloading: Mutex::new(()),
            mac_key: Mutex::new(Some((config.keyring.mac_source.clone(), mac_key))),
            wanted: Mutex::new(config.clone()),
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
            caught_up: Mutex::new(Instant::now()),
            secrets,
            stopping: watch::Sender::new(false),
            rejected_lines: LineLimit::new(),
            route_lines: LineLimit::new(),
            replacement_lines: LineLimit::new(),
            config,
        };
        app.forget_destroyed();
        app.look_at_certificates();
        Ok(app)
    }

    /// The state as it is now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Says of certificates that they do not count now, as whoever calls will find.
    pub(super) fn look_at_certificates(&self) {
        let (now, snapshot) = (clock::now(), self.snapshot.load());
        let trouble = snapshot.tls().trouble(now);
        if self.degraded.note("certificate", trouble.clone(), now)
            && let Some(trouble) = trouble
        {
            tracing::warn!("{trouble}");
        }
    }

    /// Reads what the store's log of revocations has more; it is in force when this returns.
    pub(crate) fn catch_up(&self) -> Result<(), StoreError> {
        let secrets = self.secrets.read_on(&*self.store, self.config.secret.cache_ttl.0);
        let mut held = self.taken_back.hold();
        let read = held.read_on(&*self.store, clock::now_seconds());
        // What was read before a failure counts too.
        if !matches!(read, Ok(false)) {
            self.put_list_in_force(&held);
        }
        let read = read.and(secrets);
        if read.is_ok() {
            *self.caught_up.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        read
    }

    /// How long ago the log of revocations was read to its end, by a clock that nobody sets. A store that hangs shows here.
    pub(super) fn unread_for(&self) -> Duration {
        self.caught_up.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
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
            self.put_list_in_force(&held);
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
        self.metrics.bodies(self.bodies.used(), self.bodies.refused());
    }

    /// Forgets keys that had expired at `at`, in Unix seconds, in one part of the list.
    pub(super) fn sweep_part(&self, part: usize, at: u64) {
        let mut held = self.taken_back.hold();
        held.sweep_part(part, at);
        self.put_list_in_force(&held);
    }

    /// Puts the list in force. Whoever does so holds it, so that no older one wins over a newer one.
    pub(super) fn put_list_in_force(&self, held: &Held<'_>) {
        let list = held.list();
        self.snapshot.rcu(|current| Arc::new(current.with_revocations(Arc::clone(&list))));
    }

    /// Looks whether what is known of revocations has become too old to judge by.
    pub(super) fn look_at_staleness(&self) {
        let since = self.degraded.since("revocations");
        let limit = self.snapshot().config.verify.max_staleness.map(|limit| limit.0);
        let failing = since.zip(limit).is_some_and(|(since, limit)| {
            SignedDuration::try_from(limit).is_ok_and(|limit| clock::now().duration_since(since) >= limit)
        });
        let too_stale = failing || limit.is_some_and(|limit| self.unread_for() >= limit);
        if self.too_stale.swap(too_stale, Ordering::Relaxed) != too_stale {
            tracing::error!(too_stale, "the log of revocations: whether it is unread for longer than is allowed");
        }
    }

    /// Whether keys can be judged.
    pub(super) fn is_ready(&self) -> bool {
        !self.too_stale.load(Ordering::Relaxed)
    }

    /// Judges a presented key now, a sealed one or one that was imported, and counts how that ended. A request judges by one
    /// snapshot, whatever is put in force meanwhile.
    pub(crate) async fn judge(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        text: &str,
        wanted: &Wanted,
    ) -> Result<Accepted, VerifyError> {
        let now = clock::now_seconds();
        let mut verdict = self.verify_sealed(snapshot, text, wanted, now).await.map(Accepted::Sealed);
        if let Err(VerifyError::Rejected(Rejection::Malformed | Rejection::Checksum)) = verdict
            // What is rare is boxed, here and below: its state would be copied with that of every request.
            && let Some(imported) = Box::pin(self.judge_imported(snapshot, text, wanted)).await
        {
            verdict = imported.map(Accepted::Imported);
        }
        self.count(snapshot, verdict.as_ref().map(Accepted::id).map_err(|error| *error), text, now);
        verdict
    }

    /// Verifies a presented sealed key now, its secret half too, and counts how that ended.
    pub(crate) async fn verify(self: &Arc<Self>, text: &str, wanted: &Wanted) -> Result<Verified, VerifyError> {
        let (now, snapshot) = (clock::now_seconds(), self.snapshot());
        let verdict = self.verify_sealed(&snapshot, text, wanted, now).await;
        self.count(&snapshot, verdict.as_ref().map(Verified::id).map_err(|error| *error), text, now);
        verdict
    }

    /// Verifies an API key again that was verified before. That is no use of it, and not counted.
    pub(super) async fn verify_again(self: &Arc<Self>, text: &str, wanted: &Wanted) -> Result<Verified, VerifyError> {
        self.verify_sealed(&self.snapshot(), text, wanted, clock::now_seconds()).await
    }

    async fn verify_sealed(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        text: &str,
        wanted: &Wanted,
        now: u64,
    ) -> Result<Verified, VerifyError> {
        match wanted.open(snapshot.verifier(), text, now) {
            Ok(_) if !self.is_ready() => Err(VerifyError::Stale),
            Ok(Opened::Verified(verified)) => Ok(verified),
            Ok(Opened::Secret(check)) => match Box::pin(self.prove(snapshot, text, &check)).await {
                // By now it may have been revoked, and must not come back: it has to hold in both states.
                Ok(()) => wanted.accept(check, self.snapshot().verifier(), clock::now_seconds()),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Opens a presented key now: all but its secret half is judged, and nothing counted.
    pub(super) fn open(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted) -> Result<Opened, VerifyError> {
        wanted.open(snapshot.verifier(), text, clock::now_seconds())
    }

    fn count(&self, snapshot: &Snapshot, verdict: Result<ApiKeyId, VerifyError>, text: &str, now: u64) {
        match verdict {
            Ok(id) => {
                match id.version() {
                    0 => drop(self.metrics.imported_accepted.inc()),
                    version => snapshot.counters.accepted(version),
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
