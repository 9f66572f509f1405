//! The metrics of a publisher, above all how old what it published is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    http::{HeaderMap, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::publisher::{PublishError, Published};
use crate::{clock, telemetry::exposition::Format};

/// Cheap to clone: all clones count together.
#[derive(Clone, Default)]
pub(crate) struct PublisherMetrics(Arc<Values>);

#[derive(Default)]
struct Values {
    this_update: AtomicU64,
    next_update: AtomicU64,
    age: Gauge,
    valid: Gauge,
    seq: Gauge<u64, AtomicU64>,
    files: Gauge<u64, AtomicU64>,
    bytes: Gauge<u64, AtomicU64>,
    written: Counter,
    heads: Counter,
    conflicts: Counter,
    failures: Counter,
}

impl PublisherMetrics {
    /// Counts a written file of `bytes` bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        self.0.written.inc_by(bytes as u64);
    }

    /// Something was published, or not.
    pub(super) fn tried(&self, published: Result<&Published, &PublishError>) {
        let values = &self.0;
        match published {
            Ok(published) => {
                values.heads.inc();
                values.this_update.store(published.this_update, Ordering::Relaxed);
                values.next_update.store(published.next_update, Ordering::Relaxed);
                values.seq.set(published.seq);
                values.files.set(published.files as u64);
                values.bytes.set(published.bytes as u64);
            }
            Err(PublishError::Conflict) => _ = values.conflicts.inc(),
            Err(_) => _ = values.failures.inc(),
        }
    }

    /// `GET /metrics`.
    pub(crate) fn router(&self) -> Router {
        let mut registry = Registry::with_prefix("bulla");
        let all = &mut registry;
        all.register("build", "The running program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let Values { age, valid, seq, files, bytes, written, heads, conflicts, failures, .. } = &*self.0;
        all.register("publisher_age_seconds", "Time since the newest published message was signed", age.clone());
        all.register("publisher_valid_seconds", "Time until followers call what is published stale", valid.clone());
        all.register("publisher_seq", "The place in the log up to which it is published", seq.clone());
        all.register("publisher_files", "Files that followers may need", files.clone());
        all.register("publisher_bytes", "Their bytes", bytes.clone());
        all.register("publisher_written_bytes", "Bytes of the files written", written.clone());
        all.register("publisher_heads", "Head objects written", heads.clone());
        all.register("publisher_conflicts", "Head objects of another publisher that was first", conflicts.clone());
        all.register("publisher_failures", "Failed attempts to publish", failures.clone());
        let (values, registry) = (Arc::clone(&self.0), Arc::new(registry));
        let page = move |headers: HeaderMap| async move {
            values.show_times(clock::now_seconds());
            let (format, mut page) = (Format::accepted(&headers), String::new());
            let _infallible = encode(&mut page, &registry);
            ([(header::CONTENT_TYPE, format.content_type())], format.of(page)).into_response()
        };
        Router::new().route("/metrics", get(page))
    }
}

impl Values {
    /// Nothing is shown before something is published.
    fn show_times(&self, now: u64) {
        let (this_update, next_update) =
            (self.this_update.load(Ordering::Relaxed), self.next_update.load(Ordering::Relaxed));
        if this_update > 0 {
            let since =
                |from: u64, to: u64| i64::try_from(to).unwrap_or(i64::MAX) - i64::try_from(from).unwrap_or(i64::MAX);
            self.age.set(since(this_update, now));
            self.valid.set(since(now, next_update));
        }
    }
}
