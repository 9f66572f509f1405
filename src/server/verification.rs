//! Verification in the service: the shell that answers the questions of [`crate::verification`] without blocking, and counts
//! how each one ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName};
use bulla::{ApiKey, ApiKeyId, Rejection, VerifyError, layer::Credential};

use super::{live::Live, refresh_throttle::RefreshThrottle, secrets::SecretChecks, snapshot::Snapshot};
use crate::{
    clock,
    imported::ImportedKeys,
    last_used::LastUsed,
    store::{Store, StoreError},
    telemetry::{limit::LineLimit, metrics::Metrics},
    verification::{
        Checked, ImportedKeysError, Pending, Question, Step, Verdict, Wanted, decide, decide_ending, read_imported_keys,
    },
};

/// What a verification takes beside the snapshot that its request goes by.
pub(crate) struct KeyVerifier {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    pub(super) secrets: Arc<SecretChecks>,
    pub(super) imported: ImportedKeys,
    pub(super) last_used: LastUsed,
    pub(super) refresh: RefreshThrottle,
}

impl KeyVerifier {
    /// Knows the store as it is now.
    pub(super) fn load(
        live: Arc<Live>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ImportedKeysError> {
        let (snapshot, imported) = (live.load_full(), ImportedKeys::default());
        read_imported_keys(&imported, &*store, &snapshot.config)?;
        let config = &snapshot.config;
        let secrets = SecretChecks::load(&config.secret, Arc::clone(&live), store, Arc::clone(&metrics))?;
        Ok(KeyVerifier {
            live,
            metrics,
            secrets: Arc::new(secrets),
            imported,
            last_used: LastUsed::new(config.last_used.max_ids),
            refresh: RefreshThrottle::new(config.keyring.refresh_interval.0),
        })
    }

    /// The one credential of a request. In Basic it is the half that looks like an API key, or like an imported one.
    pub(super) fn credential<'h>(&self, headers: &'h HeaderMap, only: Option<&HeaderName>) -> Credential<'h> {
        Credential::read_where(headers, only, |text| {
            text.parse::<ApiKey>().is_ok() || (self.imported.len() > 0 && !self.imported.recognize(text).is_empty())
        })
    }

    /// Verifies a presented key by the snapshot of its request, and counts how that ended.
    pub(crate) async fn verify(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted) -> Verdict {
        let now = clock::now_seconds();
        let verdict = self.verify_uncounted(snapshot, text, wanted, now).await;
        self.count(snapshot, &verdict, text, now);
        verdict
    }

    /// Verifies a key again that was verified before. That is not a use of it, and not counted.
    pub(super) async fn verify_again(&self, text: &str, wanted: &Wanted) -> Verdict {
        self.verify_uncounted(&self.live.load_full(), text, wanted, clock::now_seconds()).await
    }

    async fn verify_uncounted(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, now: u64) -> Verdict {
        match decide(&snapshot.state(&self.imported), text, wanted, now) {
            Step::Done(verdict) => verdict,
            // Rare, and boxed: its state would be copied with that of every request.
            Step::Ask(pending) => Box::pin(self.find_out(snapshot, text, wanted, pending)).await,
        }
    }

    async fn find_out(&self, snapshot: &Snapshot, text: &str, wanted: &Wanted, mut pending: Pending) -> Verdict {
        loop {
            let checked = self.check(snapshot, text, pending.question()).await;
            // By now the key may have been revoked: it has to hold in the state of the request, and in the one in force.
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
                Step::Done(ids) => return ids,
                Step::Ask(pending) => {
                    let checked = self.check(snapshot, text, pending.question()).await;
                    pending.resume(checked)
                }
            }
        }
    }

    async fn check(&self, snapshot: &Snapshot, text: &str, question: Question<'_>) -> Checked {
        match question {
            Question::SecretHalf(check) => self.secrets.check(snapshot.peppers(), text, check).await,
            Question::Imported(candidate) => self.secrets.check_imported(candidate).await,
            Question::EndedImported(candidate) => self.secrets.check_ended_imported(candidate).await,
        }
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

    /// Reads which secret halves were changed.
    pub(super) fn follow_secrets(&self, remembered: Duration) -> Result<(), StoreError> {
        self.secrets.follow(remembered)
    }

    /// Reads what was imported since the last look.
    pub(super) fn follow_imported(&self, store: &dyn Store) -> Result<(), ImportedKeysError> {
        let before = self.imported.len();
        read_imported_keys(&self.imported, store, &self.live.load_full().config)?;
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
                "imported keys that are rejected for what stands in their rows: {unusable}; the log names them"
            )),
        }
    }
}
