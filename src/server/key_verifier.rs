//! Verification in the service: the shell that answers the questions of [`crate::verification`] without blocking, and
//! counts how each one ended.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use axum::http::HeaderMap;
use bulla::{
    ApiKey, ApiKeyId, Realm, Rejection, VerifyError,
    layer::{Credential, CredentialRules},
};
use futures_util::future::BoxFuture;

use super::{live::Live, old_system::Learned, refresh_throttle::RefreshThrottle, snapshot::Snapshot};
use crate::{
    api::issue::IssuedApiKey,
    clock,
    imported::{Candidate, ImportedKeys, Key, SlowText},
    last_used::LastUsed,
    store::{Store, StoreError},
    telemetry::{metrics::Metrics, rate_limit::LineLimit},
    verification::{
        Checked, ImportedKeysError, Pending, Question, Step, Verdict, Wanted, decide, decide_batch, decide_ending,
        decide_found, read_imported_keys,
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

    /// The slow digest of a text, of which `is_known` tells whether a row has it; `None` where it cannot be computed
    /// now.
    fn slow_digest<'a>(
        &'a self,
        text: &'a SlowText,
        is_known: &'a (dyn Fn(&[u8]) -> bool + Sync),
    ) -> BoxFuture<'a, Option<Arc<[u8]>>>;

    /// Asks the old systems of these realms about a text that nobody imported.
    fn learn<'a>(&'a self, snapshot: &'a Snapshot, text: &'a str, realms: &'a [Realm]) -> BoxFuture<'a, Learned>;

    /// A sealed key in the place of an imported one that was just accepted, where its realm hands out such.
    fn replacement(&self, snapshot: Arc<Snapshot>, key: Arc<Key>) -> BoxFuture<'_, Option<IssuedApiKey>>;
}

/// What a verification takes beside the snapshot that its request goes by.
pub(crate) struct KeyVerifier {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    behind: Box<dyn Behind>,
    pub(super) imported: Arc<ImportedKeys>,
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
        KeyVerifier { live, metrics, behind, imported, last_used, refresh }
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
        let mut old = snapshot.config.realms.values().filter_map(|policy| policy.old_system.as_ref());
        (self.imported.has_slow_digests() && !self.imported.table().slow_texts(text).is_empty())
            || (snapshot.asks_old_systems && old.any(|old| !old.prefix.is_empty() && old.may_have(text)))
    }

    /// Verifies a presented key by the snapshot of its request, and counts how that ended.
    pub(crate) async fn verify(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted) -> Verdict {
        let now = clock::now_seconds();
        let verdict = self.verify_uncounted(snapshot, text, wanted, now).await;
        self.count(snapshot, &verdict, text, now);
        verdict
    }

    /// The same for many, up to the first that needs a stored hash or may be known elsewhere. `each` gets the verdicts
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
            Step::Done(verdict) if !self.is_searched(snapshot, text, &verdict) => {
                self.count(snapshot, &verdict, text, now);
                each(&verdict);
                done += 1;
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        });
        done
    }

    /// Verifies a key again that was verified before. That is not a use of it, and not counted.
    pub(super) async fn verify_again(&self, text: &str, wanted: &Wanted) -> Verdict {
        self.verify_uncounted(&self.live.load_full(), text, wanted, clock::now_seconds()).await
    }

    async fn verify_uncounted(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, now: u64) -> Verdict {
        let verdict = match decide(&snapshot.state(&self.imported), text, wanted, now) {
            Step::Done(verdict) => verdict,
            // Rare, and boxed: its state would be copied with that of every request.
            Step::Ask(pending) => Box::pin(self.find_out(snapshot, text, wanted, pending)).await,
        };
        if self.is_searched(snapshot, text, &verdict) {
            return Box::pin(self.search(snapshot, text, wanted, verdict)).await;
        }
        verdict
    }

    /// Returns whether a text that is not known as a key is still to be looked for: by slow digests, or at old systems.
    fn is_searched(&self, snapshot: &Snapshot, text: &str, verdict: &Verdict) -> bool {
        matches!(verdict, Err(VerifyError::Rejected(_)))
            && (snapshot.asks_old_systems || self.imported.has_slow_digests())
            && text.parse::<ApiKey>().is_err()
            && self.imported.recognize(text).is_empty()
    }

    /// Looks for such a text by slow digests, and asks old systems about it.
    async fn search(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, verdict: Verdict) -> Verdict {
        let (found, all_tried) = self.find_slowly(text).await;
        if !found.is_empty() {
            let current = self.live.load_full();
            return match decide_found(&current.state(&self.imported), found, wanted, clock::now_seconds()) {
                Step::Done(verdict) => verdict,
                Step::Ask(pending) => self.find_out(snapshot, text, wanted, pending).await,
            };
        }
        if !all_tried {
            return Err(VerifyError::SecretUnchecked);
        }
        if !snapshot.asks_old_systems {
            return verdict;
        }
        match self.behind.learn(snapshot, text, &wanted.realms).await {
            Learned::Unknown => verdict,
            Learned::CouldNotTell => Err(VerifyError::SecretUnchecked),
            Learned::Known => {
                let current = self.live.load_full();
                match decide(&current.state(&self.imported), text, wanted, clock::now_seconds()) {
                    Step::Done(verdict) => verdict,
                    Step::Ask(pending) => self.find_out(snapshot, text, wanted, pending).await,
                }
            }
        }
    }

    /// The keys that slow digests find, and whether all of these could be computed.
    async fn find_slowly(&self, text: &str) -> (Vec<Candidate>, bool) {
        let (table, mut found, mut all_tried) = (self.imported.table(), Vec::new(), true);
        for slow in table.slow_texts(text) {
            let is_known = |digest: &[u8]| !table.find_slow(&slow, digest).is_empty();
            match self.behind.slow_digest(&slow, &is_known).await {
                Some(digest) => found.extend(table.find_slow(&slow, &digest)),
                None => all_tried = false,
            }
        }
        (found, all_tried)
    }

    async fn find_out(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, mut pending: Pending) -> Verdict {
        loop {
            let checked = self.behind.check(snapshot, text, wanted, pending.question()).await;
            // By now the key may have been revoked: it has to hold in the state of the request, and in the one in
            // force.
            let current = self.live.load_full();
            match pending.resume(checked, &current.state(&self.imported), wanted, clock::now_seconds()) {
                Step::Done(verdict) => return verdict,
                Step::Ask(next) => pending = next,
            }
        }
    }

    /// The keys that the text is, for a holder who wants to end them. Revoked and suspended ones count.
    pub(super) async fn keys_to_end(&self, snapshot: &Snapshot, text: &str) -> Result<Vec<ApiKeyId>, VerifyError> {
        let realms = snapshot.config.all_realms();
        let mut step = decide_ending(&snapshot.state(&self.imported), text, realms, clock::now_seconds());
        loop {
            step = match step {
                Step::Done(Ok(ids)) if ids.is_empty() && self.imported.has_slow_digests() => {
                    let (found, all_tried) = self.find_slowly(text).await;
                    let now = clock::now_seconds();
                    let ids: Vec<_> = found
                        .iter()
                        .map(Candidate::key)
                        .filter(|key| !key.has_expired(now))
                        .map(|key| key.id)
                        .collect();
                    return if all_tried || !ids.is_empty() { Ok(ids) } else { Err(VerifyError::SecretUnchecked) };
                }
                Step::Done(ids) => return ids,
                Step::Ask(pending) => {
                    let checked = self.behind.check(snapshot, text, &Wanted::default(), pending.question()).await;
                    pending.resume(checked)
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
                if *error == VerifyError::Rejected(Rejection::VersionUnknown) && self.refresh.request_refresh() {
                    self.metrics.unknown_version_refreshes.inc();
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

    /// Reads what was imported since the last look; `read_log` reads the revocation log on.
    pub(super) fn follow_imported(
        &self,
        store: &dyn Store,
        read_log: &dyn Fn() -> Result<(), StoreError>,
    ) -> Result<(), ImportedKeysError> {
        let before = self.imported.len();
        read_imported_keys(&self.imported, store, &self.live.load_full().config, read_log)?;
        let imported = self.imported.len();
        if imported != before {
            tracing::info!(imported, "imported keys loaded");
        }
        Ok(())
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
