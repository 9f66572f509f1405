//! The metrics of an edge: how it follows.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::metrics::register;

/// How an edge follows.
pub(crate) struct FollowMetrics {
    age: Gauge,
    seq: Gauge<u64, AtomicU64>,
    keyring_serial: Gauge<u64, AtomicU64>,
    sources_failing: Gauge<u64, AtomicU64>,
    refused: Family<ReasonLabel, Counter>,
    diverged: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl FollowMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        FollowMetrics {
            age: register(
                registry,
                "follow_age_seconds",
                "How old the newest message of the feed is that reached its end; -1 before one came",
            ),
            seq: register(registry, "follow_seq", "The place in the revocation log"),
            keyring_serial: register(
                registry,
                "follow_keyring_serial",
                "The serial number of the keyring that the feed names",
            ),
            sources_failing: register(
                registry,
                "follow_sources_failing",
                "Sources whose last answer was none, or was refused",
            ),
            diverged: register(
                registry,
                "follow_diverged",
                "How often the state differed from that of a source at the same place",
            ),
            refused: register(registry, "follow_refused", "Messages of the feed that were refused, by reason"),
        }
    }

    /// Shows how the state stands.
    pub(crate) fn state(&self, age: Option<u64>, seq: u64, keyring_serial: u64) {
        self.age.set(age.map_or(-1, |age| i64::try_from(age).unwrap_or(i64::MAX)));
        self.seq.set(seq);
        self.keyring_serial.set(keyring_serial);
    }

    /// Shows how many sources fail.
    pub(crate) fn sources_failing(&self, count: usize) {
        self.sources_failing.set(count as u64);
    }

    /// Counts that the state differs from a source's.
    pub(crate) fn diverged(&self) {
        self.diverged.inc();
    }

    /// Counts messages that were refused.
    pub(crate) fn refused(&self, reason: &'static str, count: u64) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc_by(count);
    }
}
