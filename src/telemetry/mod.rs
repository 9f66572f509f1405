//! Logs and metrics. An API key appears in neither; its id may.

pub(crate) mod excerpt;
pub(crate) mod exposition;
pub(crate) mod follow_metrics;
pub(crate) mod log;
pub(crate) mod metrics;
mod queue;
pub(crate) mod rate_limit;
