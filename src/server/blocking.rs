//! Runs work that waits for a disk or a device outside the threads that serve requests.

use std::time::Instant;

use super::problem::Problem;
use crate::{hardening::forget_registers, telemetry::rate_limit::LineLimit};

/// Runs `work` on a thread that may block, and then clears the vector registers of that thread.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let worked = tokio::task::spawn_blocking(move || {
        let result = work();
        forget_registers();
        result
    });
    worked.await.map_err(|panic| {
        static LINES: LineLimit = LineLimit::new();
        if let Some(kept_back) = LINES.allow(Instant::now()) {
            tracing::error!(%panic, kept_back, "a task failed");
        }
        Problem::internal()
    })
}
