//! Structured logs on standard error: text on a terminal, JSON elsewhere.
//!
//! A thread of its own writes them, and logging only queues a line. So a reader that stalls (a full disk, a container's
//! runtime under pressure) blocks no request and no shutdown. Lines that find no room are dropped and counted.

use std::{
    io::{self, IsTerminal, stderr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bulla::ApiKey;
use tokio::sync::watch;
use tracing::{Event, Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer, fmt,
    layer::{Context, Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use super::{
    excerpt::excerpt,
    queue::{LastLines, Queue},
    rate_limit::LineLimit,
};
use crate::config::{Level, LogConfig, LogFormat};

/// Lines that may wait for the reader: some megabytes.
const MAX_QUEUED: usize = 4096;

/// Characters of a panic's text that are logged.
const MAX_PANIC: usize = 1_000;

/// Interval between reports of dropped lines.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Counts dropped lines. A process has one log, and one count.
static DROPPED: OnceLock<Arc<AtomicU64>> = OnceLock::new();

/// Limits the lines of libraries, which clients can provoke.
static LIBRARY_LINES: LineLimit = LineLimit::new();

/// Starts logging. The returned value waits a second for the last lines when it is dropped. A second start, as in tests
/// and `quickstart`, changes nothing.
pub(crate) fn start(config: &LogConfig) -> io::Result<LastLines> {
    let level = match config.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !stderr().is_terminal(),
    };
    let (queue, last_lines) = Queue::start(MAX_QUEUED, stderr())?;
    let dropped = queue.dropped();
    let layer = fmt::layer().with_writer(move || queue.clone()).with_target(false);
    let layer =
        if json { layer.json().flatten_event(true).boxed() } else { layer.with_ansi(stderr().is_terminal()).boxed() };
    let started = tracing_subscriber::registry().with(layer.with_filter(Lines).with_filter(level)).try_init();
    if started.is_ok() {
        let _only_once = DROPPED.set(dropped);
        // The default hook writes to standard error itself, and waits for the reader.
        std::panic::set_hook(Box::new(|panic| {
            tracing::error!(panic = told(&panic.to_string()), "panic, a bug in this program");
        }));
    }
    Ok(last_lines)
}

/// The text of a panic in one line. It may quote what a client sent: an API key in it is reduced to its id.
fn told(panic: &str) -> String {
    excerpt(ApiKey::redact(panic).as_bytes(), MAX_PANIC)
}

/// Lines dropped since the start.
pub(crate) fn dropped() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.load(Ordering::Relaxed))
}

/// Reports dropped lines at intervals, until `stop` and then once more.
pub(crate) async fn tell_what_is_missing(mut stop: watch::Receiver<bool>) {
    let mut told = 0;
    loop {
        let stopped = tokio::time::timeout(REPORT_INTERVAL, stop.wait_for(|stop| *stop)).await.is_ok();
        let missing = dropped();
        if missing > told {
            tracing::warn!(lines = missing - told, "log lines were dropped: the log is not read fast enough");
            // If that line was dropped, too, it is reported again.
            told = if dropped() == missing { missing } else { told };
        }
        let lines = LIBRARY_LINES.take_kept_back();
        if lines > 0 {
            tracing::warn!(lines, "further warnings of libraries were suppressed");
        }
        if stopped {
            return;
        }
    }
}

/// Filters lines. Libraries may log their input at debug; only bulla's own lines hold no keys, and are limited where
/// clients can provoke them.
struct Lines;

impl Lines {
    fn are_own(metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("bulla")
    }

    fn are_shown(metadata: &Metadata<'_>) -> bool {
        Self::are_own(metadata) || *metadata.level() <= tracing::Level::WARN
    }
}

impl<S> Filter<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::are_shown(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::are_shown(metadata) { Interest::always() } else { Interest::never() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        Self::are_own(event.metadata()) || LIBRARY_LINES.allow(Instant::now()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_one_line_without_a_key() {
        const ID: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";
        let key = format!("{ID}BSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw");
        let line = told(&format!("panicked at src/a.rs:1:2:\nno \u{2028}{key}"));
        assert_eq!(line, format!("panicked at src/a.rs:1:2:\\nno \\u{{2028}}{ID}…"));
        assert_eq!(told(&"x".repeat(1_000_000)).chars().count(), MAX_PANIC + 1);
    }
}
