//! Metrics in the text formats of Prometheus. Counters of the verify path are atomics that are found without a lock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bulla::{Rejection, VerifyError, keyring::KeyringDocument};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Metric, Registry},
};

use super::{exposition::Format, follow_metrics::FollowMetrics};
use crate::config::Plane;

/// All metrics of the process.
pub(crate) struct Metrics {
    registry: Registry,
    verdicts: Verdicts,
    accepted: Family<VersionLabel, Counter>,
    pub(crate) issued: Family<RealmLabel, Counter>,
    pub(crate) admin_refused: Counter,
    pub(crate) unknown_version_refreshes: Counter,
    refreshes: Family<OutcomeLabel, Counter>,
    refresh_failing: Gauge,
    refresh_running: Gauge<u64, AtomicU64>,
    sealed: Family<SealedLabel, Gauge>,
    version_state: Family<VersionStateLabel, Gauge>,
    keyring_serial: Gauge<u64, AtomicU64>,
    revocations: Gauge<u64, AtomicU64>,
    revocation_bytes: Gauge<u64, AtomicU64>,
    store_polled: Gauge,
    uses_dropped: Gauge<u64, AtomicU64>,
    damaged_rows: Family<TableLabel, Gauge>,
    pub(crate) secret_hashes: Family<HashLabel, Counter>,
    pub(crate) secret_cache_hits: Counter,
    pub(crate) secret_rehashed: Counter,
    pub(crate) secret_hashes_broken: Counter,
    secret_unchecked: Family<ReasonLabel, Counter>,
    secret_waiting: Gauge<u64, AtomicU64>,
    imported_keys: Gauge<u64, AtomicU64>,
    imported_keys_bytes: Gauge<u64, AtomicU64>,
    pub(crate) imported_accepted: Counter,
    pub(crate) imported_slow_checks: Counter,
    old_system: Family<ReasonLabel, Counter>,
    certificate_expiry: Family<ListenerLabel, Gauge>,
    handshakes_failed: Family<ListenerLabel, Counter>,
    log_lines_dropped: Counter,
    connections_evicted: Family<ListenerLabel, Counter>,
    bodies_refused: Counter,
    body_memory: Gauge<u64, AtomicU64>,
    followers: Family<MemberLabel, Gauge>,
    lowest_place: Gauge<u64, AtomicU64>,
    log_place: Gauge<u64, AtomicU64>,
}

/// One counter for each outcome of a verification.
struct Verdicts {
    rejected: Vec<(Rejection, Counter)>,
    could_not_tell: Counter,
    /// Those of `could_not_tell` whose revocations were too old.
    stale: Counter,
}

/// The counters of accepted keys by key version, found without a lock.
#[derive(Clone)]
pub(crate) struct VersionCounters(Arc<[(u32, Counter)]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabel {
    version: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HashLabel {
    pub(crate) scheme: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RealmLabel {
    pub(crate) realm: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SealedLabel {
    realm: String,
    version: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionStateLabel {
    version: u32,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemberLabel {
    role: &'static str,
    state: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("bulla");
        let all = &mut registry;
        all.register("build", "The running program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let accepted = register(all, "verify_accepted", "API keys accepted, by key version");
        let rejected: Family<ReasonLabel, Counter> = register(all, "verify_rejected", "API keys rejected, by reason");
        let could_not_tell = register(all, "verify_could_not_tell", "API keys that could not be verified");
        let stale = register(
            all,
            "verify_stale",
            "API keys that could not be verified because the revocations are older than verify.max_staleness, or on an edge than \
             follow.max_stale, or because their log has lost its end",
        );
        let rejected = Rejection::ALL
            .into_iter()
            .map(|reason| (reason, rejected.get_or_create(&ReasonLabel { reason: reason.code() }).clone()))
            .collect();
        let metrics = Metrics {
            verdicts: Verdicts { rejected, could_not_tell, stale },
            accepted,
            issued: register(all, "api_keys_issued", "API keys issued, by realm"),
            admin_refused: register(
                all,
                "admin_refused",
                "Requests to the admin plane without a sufficient credential",
            ),
            unknown_version_refreshes: register(
                all,
                "keyring_unknown_version_refreshes",
                "Refreshes of the keyring because a presented key named an unknown version",
            ),
            refreshes: register(all, "keyring_refreshes", "Refreshes of keyring and configuration, by outcome"),
            refresh_failing: register(
                all,
                "keyring_refresh_failing",
                "1 while the last refresh of the keyring failed, or one hangs",
            ),
            refresh_running: register(
                all,
                "keyring_refresh_running_seconds",
                "How long the current refresh of the keyring has run; 0 between refreshes",
            ),
            sealed: register(all, "sealed_api_keys", "API keys sealed, by realm and key version; suite 1 has a budget"),
            version_state: register(all, "key_version_state", "1 for the state a key version is in"),
            keyring_serial: register(all, "keyring_serial", "The serial number of the loaded keyring"),
            revocations: register(all, "revocations", "Revoked ids, suspended ids and rules in force"),
            revocation_bytes: register(all, "revocations_bytes", "Memory of the revocation list"),
            store_polled: register(
                all,
                "store_polled",
                "1 while the revocation log is polled because notifications of the database do not arrive",
            ),
            uses_dropped: register(
                all,
                "uses_dropped",
                "Uses of API keys that were not recorded as last uses because there was no room",
            ),
            damaged_rows: register(
                all,
                "store_rows_damaged",
                "Unreadable rows of the store, by table; keys that they are about are rejected",
            ),
            secret_hashes: register(all, "secret_hashes", "Hashes of secret halves computed for checks, by scheme"),
            secret_cache_hits: register(
                all,
                "secret_cache_hits",
                "Secret halves that were verified a moment ago and not hashed again",
            ),
            secret_rehashed: register(all, "secret_rehashed", "Stored hashes replaced under another setting or pepper"),
            secret_hashes_broken: register(
                all,
                "secret_hashes_broken",
                "Stored hashes that an integrity check found altered, or under a missing pepper",
            ),
            secret_unchecked: register(all, "secret_unchecked", "Secret halves that could not be checked, by reason"),
            secret_waiting: register(all, "secret_waiting", "Checks of secret halves that wait for memory"),
            imported_keys: register(all, "imported_keys", "Imported keys in memory"),
            imported_keys_bytes: register(all, "imported_keys_bytes", "Memory of the imported keys"),
            imported_accepted: register(all, "imported_accepted", "Imported keys accepted"),
            imported_slow_checks: register(
                all,
                "imported_slow_checks",
                "Slow hashes computed for imported keys: Argon2, bcrypt, scrypt, PBKDF2",
            ),
            old_system: register(
                all,
                "old_system",
                "Questions to old systems about keys that nobody imported, by outcome",
            ),
            certificate_expiry: register(
                all,
                "tls_certificate_expiry_seconds",
                "When the certificate in force expires, in Unix seconds, by listener",
            ),
            handshakes_failed: register(all, "tls_handshakes_failed", "TLS handshakes that failed, by listener"),
            log_lines_dropped: register(
                all,
                "log_lines_dropped",
                "Log lines that were dropped because the log is not read fast enough",
            ),
            connections_evicted: register(
                all,
                "connections_evicted",
                "Connections without a request that were closed to make room, by listener",
            ),
            bodies_refused: register(
                all,
                "bodies_refused",
                "Request bodies that were refused or ended because their memory budget was used up",
            ),
            body_memory: register(all, "body_memory_bytes", "Memory that request bodies use of their budget"),
            followers: register(all, "followers", "Registered nodes and followers, by role and state"),
            lowest_place: register(
                all,
                "followers_lowest_place",
                "The lowest place in the revocation log that a registered node or follower has reported",
            ),
            log_place: register(
                all,
                "revocation_log_place",
                "The place in the revocation log up to which it is in force here",
            ),
            registry,
        };
        // Shown from the start, with zero.
        for outcome in ["ok", "failed"] {
            drop(metrics.refreshes.get_or_create(&OutcomeLabel { outcome }));
        }
        for table in ["revocations", "imported_keys", "seal_counts"] {
            drop(metrics.damaged_rows.get_or_create(&TableLabel { table }));
        }
        for scheme in ["hmac-sha256", "argon2id"] {
            drop(metrics.secret_hashes.get_or_create(&HashLabel { scheme }));
        }
        for plane in [Plane::Data, Plane::Admin, Plane::Metrics] {
            drop(metrics.connections_evicted.get_or_create(&ListenerLabel { listener: plane.name() }));
        }
        metrics
    }

    /// The same of an edge, with how it follows.
    pub(crate) fn with_follow(mut self) -> (Self, FollowMetrics) {
        let follow = FollowMetrics::new(&mut self.registry);
        (self, follow)
    }

    /// Shows `document` as the loaded keyring, and returns the counters of its versions.
    pub(crate) fn keyring_loaded(&self, document: &KeyringDocument) -> VersionCounters {
        self.keyring_serial.inner().store(document.serial(), Ordering::Relaxed);
        self.version_state.clear();
        let counters = document.versions().iter().map(|record| {
            let version = record.number.number();
            let label = VersionStateLabel { version, state: record.state.name() };
            self.version_state.get_or_create(&label).set(1);
            (version, self.accepted.get_or_create(&VersionLabel { version }).clone())
        });
        VersionCounters(counters.collect())
    }

    /// Counts a key that was not accepted.
    pub(crate) fn not_accepted(&self, error: VerifyError) {
        match error {
            VerifyError::Rejected(reason) => {
                if let Some((_, counter)) = self.verdicts.rejected.iter().find(|(one, _)| *one == reason) {
                    counter.inc();
                }
            }
            VerifyError::SecretUnchecked => drop(self.verdicts.could_not_tell.inc()),
            VerifyError::Stale => {
                self.verdicts.could_not_tell.inc();
                self.verdicts.stale.inc();
            }
        }
    }

    /// Shows the list of revocations.
    pub(crate) fn revocations(&self, len: usize, bytes: usize) {
        self.revocations.set(len as u64);
        self.revocation_bytes.set(bytes as u64);
    }

    /// Shows whether the log is polled although the database could say when there is something.
    pub(crate) fn store_polled(&self, polled: bool) {
        self.store_polled.set(i64::from(polled));
    }

    /// Shows how many uses were not recorded.
    pub(crate) fn uses_dropped(&self, dropped: u64) {
        self.uses_dropped.set(dropped);
    }

    /// Shows how many log lines were dropped.
    pub(crate) fn log_lines_dropped(&self, dropped: u64) {
        self.log_lines_dropped.inner().store(dropped, Ordering::Relaxed);
    }

    /// Shows how many rows of a table are damaged.
    pub(crate) fn damaged_rows(&self, table: &'static str, count: usize) {
        self.damaged_rows.get_or_create(&TableLabel { table }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Shows the memory that bodies use, and how many were refused because it was used up.
    pub(crate) fn bodies(&self, used: u64, refused: u64) {
        self.body_memory.set(used);
        self.bodies_refused.inner().store(refused, Ordering::Relaxed);
    }

    /// Shows who is registered, by role and state, the lowest place among them, and the place here.
    pub(crate) fn fleet(&self, members: &[((&'static str, &'static str), i64)], lowest: u64, here: u64) {
        for ((role, state), count) in members {
            self.followers.get_or_create(&MemberLabel { role, state }).set(*count);
        }
        self.lowest_place.set(lowest);
        self.log_place.set(here);
    }

    /// Counts a connection that was closed to make room for another one.
    pub(crate) fn connection_evicted(&self, plane: Plane) {
        self.connections_evicted.get_or_create(&ListenerLabel { listener: plane.name() }).inc();
    }

    /// Counts a secret half that could not be checked.
    pub(crate) fn secret_unchecked(&self, reason: &'static str) {
        self.secret_unchecked.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a question to an old system.
    pub(crate) fn old_system(&self, outcome: &'static str) {
        self.old_system.get_or_create(&ReasonLabel { reason: outcome }).inc();
    }

    /// Shows how many checks wait for memory.
    pub(crate) fn secret_waiting(&self, waiting: usize) {
        self.secret_waiting.set(waiting as u64);
    }

    /// Shows how many imported keys there are.
    pub(crate) fn imported_keys(&self, count: usize, bytes: usize) {
        self.imported_keys.set(count as u64);
        self.imported_keys_bytes.set(bytes as u64);
    }

    /// Shows when the certificates in force expire.
    pub(crate) fn certificates(&self, expiries: impl IntoIterator<Item = (Plane, Timestamp)>) {
        for (plane, expiry) in expiries {
            let label = ListenerLabel { listener: plane.name() };
            self.certificate_expiry.get_or_create(&label).set(expiry.as_second());
            drop(self.handshakes_failed.get_or_create(&label));
        }
    }

    /// Counts a connection whose TLS handshake failed.
    pub(crate) fn handshake_failed(&self, plane: Plane) {
        self.handshakes_failed.get_or_create(&ListenerLabel { listener: plane.name() }).inc();
    }

    /// Counts a refresh of the keyring.
    pub(crate) fn refreshed(&self, ok: bool) {
        let outcome = if ok { "ok" } else { "failed" };
        self.refreshes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Shows how long the current refresh has run, and whether the last one failed or this one hangs.
    pub(crate) fn refreshing(&self, running: Duration, failing: bool) {
        self.refresh_running.set(running.as_secs());
        self.refresh_failing.set(i64::from(failing));
    }

    /// Shows how much of the seal budget a realm has used under a key version.
    pub(crate) fn sealed(&self, realm: String, version: u32, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.sealed.get_or_create(&SealedLabel { realm, version }).set(count);
    }

    /// The page at `/metrics`.
    pub(crate) fn render(&self, format: Format) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => format.of(text),
            Err(error) => format!("# {error}\n"),
        }
    }
}

impl VersionCounters {
    /// Counts an accepted key.
    pub(crate) fn accepted(&self, version: u32) {
        // The newest ones come last and are used most.
        if let Some((_, counter)) = self.0.iter().rev().find(|(one, _)| *one == version) {
            counter.inc();
        }
    }
}

/// A new metric, shown under this name.
pub(super) fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
