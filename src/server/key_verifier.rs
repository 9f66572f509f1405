//! Verification in the service: the shell that carries out what [`crate::verification`] asks without blocking, and
//! counts how each one ended.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use axum::http::HeaderMap;
use bulla::{
    ApiKey, Rejection, VerifyError,
    layer::{Credential, CredentialRules},
};
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{
    live::Live,
    old_system::Memory,
    refresh_throttle::RefreshThrottle,
    secrets::{FoundRight, SecretChecks},
    snapshot::Snapshot,
};
use crate::{
    api::issue::IssuedApiKey,
    clock,
    imported::{ImportedKeys, Key},
    last_used::LastUsed,
    store::{Store, StoreError},
    telemetry::{metrics::Metrics, rate_limit::LineLimit},
    verification::{
        Checked, DigestSearch, EndingError, Ids, ImportedKeysError, Learned, OldSystem, Pending, PendingHash,
        PendingIds, Question, Step, Verdict, Wanted, decide, decide_batch, decide_ending, read_imported_keys,
    },
};

/// What stands behind a verifier: it knows stored hashes, or knows whom to ask.
pub(super) trait Behind: Send + Sync {
    /// Answers the question about `text`, of which the caller expects this.
    fn check<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        text: &'a str,
        wanted: &'a Wanted,
        question: Question<'a>,
    ) -> BoxFuture<'a, Checked>;

    /// The slow digest that a search waits for; `None` where it cannot be computed now.
    fn slow_digest<'a>(&'a self, search: &'a DigestSearch) -> BoxFuture<'a, Option<Arc<[u8]>>>;

    /// Asks an old system about a text that nobody imported.
    fn ask_old_system<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        old: &'a OldSystem,
        text: &'a str,
        memory: Memory,
    ) -> BoxFuture<'a, Learned>;

    /// A sealed key in the place of an imported one that was just accepted, where its realm hands out such.
    fn replacement(&self, snapshot: Arc<Snapshot>, key: Arc<Key>) -> BoxFuture<'_, Option<IssuedApiKey>>;
}

/// What a verification takes beside the snapshot that its request goes by.
pub(crate) struct KeyVerifier {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    behind: Box<dyn Behind>,
    pub(super) imported: Arc<ImportedKeys>,
    /// One request at a time reads on what was imported: others would hold threads while they wait for it.
    pub(super) reading_imported: Mutex<()>,
    pub(super) last_used: LastUsed,
    pub(super) refresh: RefreshThrottle,
}

impl KeyVerifier {
    /// With the imported keys that are known so far.
    pub(super) fn new(
        live: Arc<Live>,
        metrics: Arc<Metrics>,
        behind: Box<dyn Behind>,
        imported: Arc<ImportedKeys>,
    ) -> Self {
        let snapshot = live.load_full();
        let last_used = LastUsed::new(snapshot.config.last_used.max_ids);
        let refresh = RefreshThrottle::new(snapshot.config.keyring.refresh_interval.0);
        let reading_imported = Mutex::default();
        KeyVerifier { live, metrics, behind, imported, reading_imported, last_used, refresh }
    }

    /// The one credential of a request. In Basic it is the half that looks like an API key, or like an imported one.
    pub(super) fn credential<'h>(
        &self,
        snapshot: &Snapshot,
        headers: &'h HeaderMap,
        rules: &CredentialRules,
    ) -> Credential<'h> {
        rules.read(headers, |text| {
            text.parse::<ApiKey>().is_ok()
                || (self.imported.len() > 0 && !self.imported.recognize(text).is_empty())
                || self.has_old_shape(snapshot, text)
        })
    }

    /// Returns whether a text that is not known as a key has the shape of one that is looked for by slow digests, or at
    /// an old system.
    fn has_old_shape(&self, snapshot: &Snapshot, text: &str) -> bool {
        let mut old = snapshot.old_systems.iter().map(OldSystem::config);
        (self.imported.has_slow_digests() && !self.imported.table().slow_texts(text).is_empty())
            || old.any(|old| !old.prefix.is_empty() && old.may_have(text))
    }

    /// Begins to verify a presented key at `now` by the snapshot of its request. Most verdicts are there at once, and
    /// counted.
    #[inline]
    pub(super) fn begin(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, now: u64) -> Step<Verdict, Pending> {
        let step = decide(&snapshot.state(&self.imported), text, wanted, now);
        if let Step::Done(verdict) = &step {
            self.count(snapshot, verdict, text, now);
        }
        step
    }

    /// Goes on with a verification that was begun with the same four, and counts how it ended.
    pub(super) async fn finish(
        &self,
        snapshot: &Snapshot,
        text: &str,
        wanted: &Wanted,
        now: u64,
        pending: Pending,
    ) -> Verdict {
        let verdict = self.find_out(snapshot, text, wanted, pending).await;
        self.count(snapshot, &verdict, text, now);
        verdict
    }

    /// Verifies a presented key by the snapshot of its request, and counts how that ended.
    pub(crate) async fn verify(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted) -> Verdict {
        let now = clock::now_seconds();
        match self.begin(snapshot, text, wanted, now) {
            Step::Done(verdict) => verdict,
            // Rare, and boxed: its state would be copied with that of every request.
            Step::Ask(pending) => Box::pin(self.finish(snapshot, text, wanted, now, pending)).await,
        }
    }

    /// The same for many, up to the first whose verification has to wait for something. `each` gets the verdicts
    /// in their order; returns how many it verified.
    pub(super) fn verify_at_once<'t>(
        &self,
        snapshot: &Snapshot,
        texts: impl Iterator<Item = &'t str> + Clone,
        wanted: &Wanted,
        mut each: impl FnMut(&Verdict),
    ) -> usize {
        let (now, mut done) = (clock::now_seconds(), 0);
        decide_batch(&snapshot.state(&self.imported), texts, wanted, now, |text, step| match step {
            Step::Done(verdict) => {
                self.count(snapshot, &verdict, text, now);
                each(&verdict);
                done += 1;
                ControlFlow::Continue(())
            }
            Step::Ask(_) => ControlFlow::Break(()),
        });
        done
    }

    /// Verifies a key again that was accepted before, and says that its secret half was right, where it has one. That is
    /// not a use of the key, is not counted, and takes no attempt at it.
    pub(super) async fn verify_again(
        &self,
        secrets: &Arc<SecretChecks>,
        text: &str,
        wanted: &Wanted,
    ) -> (Verdict, Option<FoundRight>) {
        let snapshot = self.live.load_full();
        let (pending, found) = match decide(&snapshot.state(&self.imported), text, wanted, clock::now_seconds()) {
            Step::Done(verdict) => return (verdict, None),
            Step::Ask(Pending::Hash(PendingHash::SecretHalf(check))) => {
                let found = secrets.check_again(snapshot.peppers(), text, &check).await;
                let (current, checked) = (self.live.load_full(), found.err().unwrap_or(Checked::Right));
                let pending = PendingHash::SecretHalf(check);
                match pending.resume(checked, &current.state(&self.imported), wanted, clock::now_seconds()) {
                    Step::Done(verdict) => return (verdict, found.ok()),
                    Step::Ask(pending) => (pending, found.ok()),
                }
            }
            Step::Ask(pending) => (pending, None),
        };
        (Box::pin(self.find_out(&snapshot, text, wanted, pending)).await, found)
    }

    /// Carries out what the steps of a verification ask. By the time of an answer the key may have been revoked: it has
    /// to hold in the state of the request, and in the one in force.
    async fn find_out(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, mut pending: Pending) -> Verdict {
        loop {
            let step = match pending {
                Pending::Hash(pending) => {
                    let checked = self.behind.check(snapshot, text, wanted, pending.question()).await;
                    let current = self.live.load_full();
                    pending.resume(checked, &current.state(&self.imported), wanted, clock::now_seconds())
                }
                Pending::Digest(pending) => {
                    let digest = self.behind.slow_digest(pending.search()).await;
                    let current = self.live.load_full();
                    pending.resume(digest.as_deref(), &current.state(&self.imported), wanted, clock::now_seconds())
                }
                Pending::OldSystem(pending) => {
                    let learned = self.behind.ask_old_system(snapshot, pending.old_system(), text, Memory::Use).await;
                    let current = self.live.load_full();
                    pending.resume(learned, &current.state(&self.imported), text, wanted, clock::now_seconds())
                }
            };
            match step {
                Step::Done(verdict) => return verdict,
                Step::Ask(next) => pending = next,
            }
        }
    }

    /// The keys that the text is, for a holder who wants to end them. Revoked and suspended ones count. One that only
    /// an old system knows goes on record first.
    pub(super) async fn keys_to_end(&self, snapshot: &Snapshot, text: &str) -> Ids {
        let (state, realms) = (snapshot.state(&self.imported), snapshot.config.all_realms());
        let mut step = decide_ending(&state, &snapshot.document, text, realms);
        loop {
            step = match step {
                Step::Done(ids) => {
                    if matches!(ids, Err(EndingError::VersionUnknown(_))) {
                        self.note_unknown_version();
                    }
                    return ids;
                }
                Step::Ask(PendingIds::Hash(pending)) => {
                    let checked = self.behind.check(snapshot, text, &Wanted::default(), pending.question()).await;
                    pending.resume(checked)
                }
                Step::Ask(PendingIds::Digest(pending)) => {
                    let digest = self.behind.slow_digest(pending.search()).await;
                    pending.resume(digest.as_deref())
                }
                Step::Ask(PendingIds::OldSystem(pending)) => {
                    let learned = self.behind.ask_old_system(snapshot, pending.old_system(), text, Memory::Skip).await;
                    pending.resume(learned, &self.live.load_full().state(&self.imported), text)
                }
            }
        }
    }

    /// A sealed key for an imported one that was just accepted.
    pub(super) async fn replacement(&self, snapshot: Arc<Snapshot>, key: Arc<Key>) -> Option<IssuedApiKey> {
        self.behind.replacement(snapshot, key).await
    }

    fn count(&self, snapshot: &Snapshot, verdict: &Verdict, text: &str, now: u64) {
        match verdict {
            Ok(accepted) => {
                let id = accepted.id();
                match id.version() {
                    0 => drop(self.metrics.imported_accepted.inc()),
                    version => snapshot.counters.accepted(version),
                }
                self.last_used.note(id, now);
            }
            Err(error) => {
                self.metrics.not_accepted(*error);
                if *error == VerifyError::Rejected(Rejection::VersionUnknown) {
                    self.note_unknown_version();
                }
                static LINES: LineLimit = LineLimit::new();
                if tracing::enabled!(tracing::Level::DEBUG)
                    && let Some(kept_back) = LINES.allow(Instant::now())
                {
                    let id = text.parse::<ApiKey>().map_or_else(|_| String::new(), |key| key.id().to_string());
                    tracing::debug!(reason = error.code(), id, kept_back, "not accepted");
                }
            }
        }
    }

    /// A newer keyring may have the version that a key names.
    fn note_unknown_version(&self) {
        if self.refresh.request_refresh() {
            self.metrics.unknown_version_refreshes.inc();
        }
    }

    /// Reads what was imported since the last look; `read_log` reads the revocation log on.
    pub(super) fn follow_imported(
        &self,
        store: &dyn Store,
        read_log: &dyn Fn() -> Result<(), StoreError>,
    ) -> Result<(), ImportedKeysError> {
        let before = self.imported.len();
        let read = read_imported_keys(&self.imported, store, &self.live.load_full().config, read_log);
        let imported = self.imported.len();
        if imported != before {
            tracing::info!(imported, "imported keys loaded");
        }
        read
    }

    /// Imported keys that are rejected for what stands in the store.
    pub(super) fn check_imported_rows(&self) -> Result<(), String> {
        let unusable = self.imported.unusable();
        self.metrics.damaged_rows("imported_keys", unusable);
        match unusable {
            0 => Ok(()),
            _ => Err(format!(
                "imported keys that are rejected because their rows are unusable: {unusable}; the log names them"
            )),
        }
    }
}
