//! Structured logs on standard error: people's text on a terminal, JSON elsewhere.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Level, LogConfig, LogFormat};

/// Starts logging. A second start, as tests and `quickstart` may do, changes nothing.
pub(crate) fn start(config: &LogConfig) {
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
    // Dependencies may log at debug what passes through them; only bulla's own lines are known to be free of keys.
    let filter =
        filter_fn(move |metadata| metadata.target().starts_with("bulla") || *metadata.level() <= tracing::Level::WARN);
    let layer = fmt::layer().with_writer(stderr).with_target(false);
    let layer =
        if json { layer.json().flatten_event(true).boxed() } else { layer.with_ansi(stderr().is_terminal()).boxed() };
    let _already_started = tracing_subscriber::registry().with(layer.with_filter(filter).with_filter(level)).try_init();
}
