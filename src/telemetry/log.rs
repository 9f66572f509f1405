//! Structured logs on standard error: people's text on a terminal, JSON elsewhere.
//!
//! A thread of its own writes them. Who logs only queues a line, so a reader that stalls (a full disk, a container's runtime
//! under pressure) holds up no request and no stop. Lines without room are dropped and counted.

use std::{
    io::{self, IsTerminal, stderr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{Event, Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer, fmt,
    layer::{Context, Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use super::{
    limit::LineLimit,
    queue::{LastLines, Queue},
};
use crate::config::{Level, LogConfig, LogFormat};

/// Lines that wait for the reader: some megabytes at most.
const QUEUE: usize = 4096;

/// How often it is said how many lines are missing, where any are.
const TELL: Duration = Duration::from_secs(2);

/// Counts the lines that found no room. There is one log in a process, and one count.
static DROPPED: OnceLock<Arc<AtomicU64>> = OnceLock::new();

/// Lines of the libraries inside, which clients provoke as they like.
static OF_LIBRARIES: LineLimit = LineLimit::new();

/// Starts logging, until what it returns is dropped: that waits a second for the last lines to be written. A second start, as
/// tests and `quickstart` may do, changes nothing.
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
    let (queue, last_lines) = Queue::start(QUEUE, stderr())?;
    let dropped = queue.dropped();
    let layer = fmt::layer().with_writer(move || queue.clone()).with_target(false);
    let layer =
        if json { layer.json().flatten_event(true).boxed() } else { layer.with_ansi(stderr().is_terminal()).boxed() };
    let started = tracing_subscriber::registry().with(layer.with_filter(Lines).with_filter(level)).try_init();
    if started.is_ok() {
        let _only_once = DROPPED.set(dropped);
        // The usual one writes to standard error by itself, and waits for its reader.
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic, which is a mistake in this program")));
    }
    Ok(last_lines)
}

/// How many lines found no room since the start.
pub(crate) fn dropped() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.load(Ordering::Relaxed))
}

/// Says from time to time how many lines are missing, until `stop` and then once more.
pub(crate) async fn tell_what_is_missing(mut stop: watch::Receiver<bool>) {
    let mut told = 0;
    loop {
        let stopped = tokio::time::timeout(TELL, stop.wait_for(|stop| *stop)).await.is_ok();
        let missing = dropped();
        if missing > told {
            tracing::warn!(lines = missing - told, "lines of the log were dropped: nobody read it fast enough");
            // Where that line found no room either it is said again.
            told = if dropped() == missing { missing } else { told };
        }
        let lines = OF_LIBRARIES.take_kept_back();
        if lines > 0 {
            tracing::warn!(lines, "further warnings of the libraries inside were left out");
        }
        if stopped {
            return;
        }
    }
}

/// Which lines there are. Libraries may log at debug what passes through them; only bulla's own lines are known to be free of
/// keys, and to be bounded where anybody can provoke them.
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
        Self::are_own(event.metadata()) || OF_LIBRARIES.allow(Instant::now()).is_some()
    }
}
