//! Metrics for Prometheus and everything that reads its text formats. What is counted per request is an atomic found without a lock.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bulla::{KeyringDocument, Rejection, VerifyError};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::exposition::Format;
use crate::{config::Plane, store::SealCount, tls::Tls};

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
    uses_dropped: Gauge<u64, AtomicU64>,
    damaged_rows: Family<TableLabel, Gauge>,
    pub(crate) secret_hashes: Family<HashLabel, Counter>,
    pub(crate) secret_cache_hits: Counter,
    pub(crate) secret_rehashed: Counter,
    pub(crate) secret_hashes_broken: Counter,
    secret_unchecked: Family<ReasonLabel, Counter>,
    secret_waiting: Gauge<u64, AtomicU64>,
    imported_keys: Gauge<u64, AtomicU64>,
    pub(crate) imported_accepted: Counter,
    pub(crate) imported_slow_checks: Counter,
    certificate_expiry: Family<ListenerLabel, Gauge>,
    handshakes_failed: Family<ListenerLabel, Counter>,
    log_lines_dropped: Counter,
    connections_evicted: Family<ListenerLabel, Counter>,
    bodies_refused: Counter,
    body_memory: Gauge<u64, AtomicU64>,
}

/// One counter for each way a verification ends.
struct Verdicts {
    rejected: Vec<(Rejection, Counter)>,
    could_not_tell: Counter,
    /// Those of `could_not_tell` of which only revocations were not known.
    stale: Counter,
}

/// The counters of accepted keys by key version, found without a lock.
#[derive(Clone, Default)]
pub(crate) struct VersionCounters(Arc<HashMap<u32, Counter>>);

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

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("bulla");
        registry.register("build", "The running program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let accepted = Family::<VersionLabel, Counter>::default();
        registry.register("verify_accepted", "API keys accepted, by key version", accepted.clone());
        let rejected = Family::<ReasonLabel, Counter>::default();
        registry.register("verify_rejected", "API keys rejected, by reason", rejected.clone());
        let could_not_tell = Counter::default();
        registry.register("verify_could_not_tell", "API keys that could not be judged", could_not_tell.clone());
        let stale = Counter::default();
        registry.register(
            "verify_stale",
            "API keys that could not be judged because the revocations are older than verify.max_staleness",
            stale.clone(),
        );
        let issued = Family::<RealmLabel, Counter>::default();
        registry.register("api_keys_issued", "API keys issued, by realm", issued.clone());
        let admin_refused = Counter::default();
        registry.register(
            "admin_refused",
            "Requests to the admin plane without a sufficient credential",
            admin_refused.clone(),
        );
        let unknown_version_refreshes = Counter::default();
        registry.register(
            "keyring_unknown_version_refreshes",
            "Looks at the keyring because a presented key named a version that is not in it",
            unknown_version_refreshes.clone(),
        );
        let refreshes = Family::<OutcomeLabel, Counter>::default();
        registry.register("keyring_refreshes", "Looks at keyring and configuration, by outcome", refreshes.clone());
        for outcome in ["ok", "failed"] {
            drop(refreshes.get_or_create(&OutcomeLabel { outcome }));
        }
        let refresh_failing = Gauge::default();
        registry.register(
            "keyring_refresh_failing",
            "1 while the last look at the keyring failed, or one hangs",
            refresh_failing.clone(),
        );
        let refresh_running = Gauge::default();
        registry.register(
            "keyring_refresh_running_seconds",
            "For how long a look at the keyring has been under way; 0 between looks",
            refresh_running.clone(),
        );
        let sealed = Family::<SealedLabel, Gauge>::default();
        registry.register(
            "sealed_api_keys",
            "API keys sealed, by realm and key version; suite 1 has a budget",
            sealed.clone(),
        );
        let version_state = Family::<VersionStateLabel, Gauge>::default();
        registry.register("key_version_state", "1 for the state a key version is in", version_state.clone());
        let keyring_serial = Gauge::<u64, AtomicU64>::default();
        registry.register("keyring_serial", "The serial number of the loaded keyring", keyring_serial.clone());
        let revocations = Gauge::<u64, AtomicU64>::default();
        registry.register("revocations", "Revoked ids, suspended ids and rules in force", revocations.clone());
        let revocation_bytes = Gauge::<u64, AtomicU64>::default();
        registry.register("revocations_bytes", "Memory that the list of revocations takes", revocation_bytes.clone());
        let uses_dropped = Gauge::<u64, AtomicU64>::default();
        registry.register(
            "uses_dropped",
            "Uses of API keys since the start that no last use was recorded for, for want of room",
            uses_dropped.clone(),
        );
        let damaged_rows = Family::<TableLabel, Gauge>::default();
        registry.register(
            "store_rows_damaged",
            "Rows of the store that cannot be read whole, and whose keys are rejected, by table",
            damaged_rows.clone(),
        );
        for table in ["revocations", "imported_keys"] {
            drop(damaged_rows.get_or_create(&TableLabel { table }));
        }
        let secret_hashes = Family::<HashLabel, Counter>::default();
        registry.register(
            "secret_hashes",
            "Hashes of secret halves computed for checks, by scheme",
            secret_hashes.clone(),
        );
        for scheme in ["hmac-sha256", "argon2id"] {
            drop(secret_hashes.get_or_create(&HashLabel { scheme }));
        }
        let secret_cache_hits = Counter::default();
        registry.register(
            "secret_cache_hits",
            "Secret halves that were found right a moment ago and not hashed again",
            secret_cache_hits.clone(),
        );
        let secret_rehashed = Counter::default();
        registry.register(
            "secret_rehashed",
            "Stored hashes made anew under another setting or pepper",
            secret_rehashed.clone(),
        );
        let secret_hashes_broken = Counter::default();
        registry.register(
            "secret_hashes_broken",
            "Stored hashes that a look found to be altered, or under a pepper that is not there",
            secret_hashes_broken.clone(),
        );
        let secret_unchecked = Family::<ReasonLabel, Counter>::default();
        registry.register(
            "secret_unchecked",
            "Secret halves that could not be checked, by reason",
            secret_unchecked.clone(),
        );
        let secret_waiting = Gauge::<u64, AtomicU64>::default();
        registry.register("secret_waiting", "Checks that wait for memory", secret_waiting.clone());
        let imported_keys = Gauge::<u64, AtomicU64>::default();
        registry.register("imported_keys", "Imported keys in memory", imported_keys.clone());
        let imported_accepted = Counter::default();
        registry.register("imported_accepted", "Imported keys accepted", imported_accepted.clone());
        let imported_slow_checks = Counter::default();
        registry.register(
            "imported_slow_checks",
            "Argon2id, bcrypt and scrypt hashes computed for imported keys",
            imported_slow_checks.clone(),
        );
        let certificate_expiry = Family::<ListenerLabel, Gauge>::default();
        registry.register(
            "tls_certificate_expiry_seconds",
            "When the certificate in force expires, in Unix seconds, by listener",
            certificate_expiry.clone(),
        );
        let handshakes_failed = Family::<ListenerLabel, Counter>::default();
        registry.register(
            "tls_handshakes_failed",
            "Connections that ended before TLS stood, by listener",
            handshakes_failed.clone(),
        );
        let log_lines_dropped = Counter::default();
        registry.register(
            "log_lines_dropped",
            "Lines of the log that found no room, as nobody read it fast enough",
            log_lines_dropped.clone(),
        );
        let connections_evicted = Family::<ListenerLabel, Counter>::default();
        registry.register(
            "connections_evicted",
            "Connections without a request that were closed for others, by listener",
            connections_evicted.clone(),
        );
        for plane in [Plane::Data, Plane::Admin, Plane::Metrics] {
            drop(connections_evicted.get_or_create(&ListenerLabel { listener: plane.name() }));
        }
        let bodies_refused = Counter::default();
        registry.register(
            "bodies_refused",
            "Request bodies that were refused or ended because the memory for bodies was used up",
            bodies_refused.clone(),
        );
        let body_memory = Gauge::<u64, AtomicU64>::default();
        registry.register("body_memory_bytes", "Memory that request bodies take of their budget", body_memory.clone());
        let rejected = Rejection::ALL
            .into_iter()
            .map(|reason| (reason, rejected.get_or_create(&ReasonLabel { reason: reason.code() }).clone()))
            .collect();
        let verdicts = Verdicts { rejected, could_not_tell, stale };
        Metrics {
            registry,
            verdicts,
            accepted,
            issued,
            admin_refused,
            unknown_version_refreshes,
            refreshes,
            refresh_failing,
            refresh_running,
            sealed,
            version_state,
            keyring_serial,
            revocations,
            revocation_bytes,
            uses_dropped,
            damaged_rows,
            secret_hashes,
            secret_cache_hits,
            secret_rehashed,
            secret_hashes_broken,
            secret_unchecked,
            secret_waiting,
            imported_keys,
            imported_accepted,
            imported_slow_checks,
            certificate_expiry,
            handshakes_failed,
            log_lines_dropped,
            connections_evicted,
            bodies_refused,
            body_memory,
        }
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
        VersionCounters(Arc::new(counters.collect()))
    }

    /// Counts a verification that did not end in an accepted key.
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

    /// Shows how many uses were not recorded.
    pub(crate) fn uses_dropped(&self, dropped: u64) {
        self.uses_dropped.set(dropped);
    }

    /// Shows how many lines of the log found no room.
    pub(crate) fn log_lines_dropped(&self, dropped: u64) {
        self.log_lines_dropped.inner().store(dropped, Ordering::Relaxed);
    }

    /// Shows how many rows of a table are damaged.
    pub(crate) fn damaged_rows(&self, table: &'static str, count: usize) {
        self.damaged_rows.get_or_create(&TableLabel { table }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Shows what bodies take of their memory, and how many were refused for want of it.
    pub(crate) fn bodies(&self, used: u64, refused: u64) {
        self.body_memory.set(used);
        self.bodies_refused.inner().store(refused, Ordering::Relaxed);
    }

    /// Counts a connection that made room for another one.
    pub(crate) fn connection_evicted(&self, plane: Plane) {
        self.connections_evicted.get_or_create(&ListenerLabel { listener: plane.name() }).inc();
    }

    /// Counts a secret half that could not be checked.
    pub(crate) fn secret_unchecked(&self, reason: &'static str) {
        self.secret_unchecked.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Shows how many checks wait for memory.
    pub(crate) fn secret_waiting(&self, waiting: usize) {
        self.secret_waiting.set(waiting as u64);
    }

    /// Shows how many imported keys there are.
    pub(crate) fn imported_keys(&self, count: usize) {
        self.imported_keys.set(count as u64);
    }

    /// Shows the certificates in force.
    pub(crate) fn certificates(&self, tls: &Tls) {
        for (plane, tls) in tls.all() {
            let label = ListenerLabel { listener: plane.name() };
            self.certificate_expiry.get_or_create(&label).set(tls.validity.until.as_second());
            drop(self.handshakes_failed.get_or_create(&label));
        }
    }

    /// Counts a connection on which no TLS came about.
    pub(crate) fn handshake_failed(&self, plane: Plane) {
        self.handshakes_failed.get_or_create(&ListenerLabel { listener: plane.name() }).inc();
    }

    /// Counts a look at the keyring.
    pub(crate) fn refreshed(&self, ok: bool) {
        let outcome = if ok { "ok" } else { "failed" };
        self.refreshes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Shows for how long a look at the keyring has been under way, and whether the last one failed, or this one hangs.
    pub(crate) fn refreshing(&self, running: Duration, failing: bool) {
        self.refresh_running.set(running.as_secs());
        self.refresh_failing.set(i64::from(failing));
    }

    /// Shows how much of the seal budget is used.
    pub(crate) fn sealed(&self, counts: &[SealCount]) {
        for count in counts {
            let label = SealedLabel { realm: count.realm.clone(), version: count.version };
            self.sealed.get_or_create(&label).set(i64::try_from(count.count).unwrap_or(i64::MAX));
        }
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
        if let Some(counter) = self.0.get(&version) {
            counter.inc();
        }
    }
}
