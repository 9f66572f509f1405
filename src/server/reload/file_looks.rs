//! Looks at the files of an edge or a relay: one at a time, on a thread of its own. What hangs shows in `/readyz` and
//! the metrics, holds up neither the service nor its end, and loses no reason for another look.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Trigger,
    job::{Job, end_of},
    trigger::{HANGS, TICK},
};
use crate::{server::failures::Failures, telemetry::metrics::Metrics};

/// What [`Failures`] calls a look at the files.
const HEALTH: &str = "configuration";

/// Reads the files, and puts what they say in force. An error says what stays as it was.
type Look = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The look that runs, and the next one.
pub(in crate::server) struct FileLooks {
    look: Look,
    metrics: Arc<Metrics>,
    health: Arc<Failures>,
    running: Option<Job<Result<(), String>>>,
    next: bool,
    /// How the last one ended.
    failed: Option<String>,
    /// How long one may take before that shows.
    hangs: Duration,
}

impl FileLooks {
    pub(in crate::server) fn new(
        metrics: &Arc<Metrics>,
        health: &Arc<Failures>,
        look: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        FileLooks {
            look: Arc::new(look),
            metrics: Arc::clone(metrics),
            health: Arc::clone(health),
            running: None,
            next: false,
            failed: None,
            hangs: HANGS,
        }
    }

    /// Begins a look, now or when the current one ends.
    pub(in crate::server) fn begin(&mut self) {
        if self.running.is_some() {
            self.next = true;
            return;
        }
        let look = Arc::clone(&self.look);
        self.running = Some(Job::start(Trigger::File, move || look()));
    }

    /// Waits for the end of the current look, for a moment, and shows how it stands.
    pub(in crate::server) async fn proceed(&mut self) {
        if let Ok((_, looked)) = timeout(TICK, end_of(&mut self.running)).await {
            self.failed = looked
                .unwrap_or_else(|| Err("reading the files panicked: see the log, and report it".to_owned()))
                .err();
            self.metrics.refreshed(self.failed.is_none());
            if std::mem::take(&mut self.next) {
                self.begin();
            }
        }
        self.report();
    }

    fn report(&self) {
        let running = self.running.as_ref().map(|job| job.begun.elapsed());
        let hangs = running.filter(|running| *running > self.hangs).map(|running| {
            format!("reading the files has taken {} s so far: what was loaded before stays in force", running.as_secs())
        });
        let messages: Vec<String> = hangs.into_iter().chain(self.failed.clone()).collect();
        self.metrics.refreshing(running.unwrap_or_default(), !messages.is_empty());
        let stands = if messages.is_empty() { Ok(()) } else { Err(messages.join("; ")) };
        self.health.note_task(HEALTH, stands);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    use tokio::time::Instant;

    use super::*;
    use crate::telemetry::exposition::Format;

    /// A deadline, not an expectation.
    const TIMEOUT: Duration = Duration::from_secs(90);

    async fn until(looks: &mut FileLooks, done: impl Fn(&FileLooks) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !done(looks) {
            assert!(Instant::now() < deadline, "it did not happen");
            looks.proceed().await;
        }
    }

    #[tokio::test]
    async fn a_look_that_hangs_shows_and_the_next_one_comes_after_it() {
        let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Failures::default()));
        let (go_on, hanging) = mpsc::channel();
        let (begun, hanging) = (Arc::new(AtomicUsize::new(0)), Mutex::new(hanging));
        let count = Arc::clone(&begun);
        let look = move || {
            count.fetch_add(1, SeqCst);
            hanging.lock().expect("unharmed").recv().expect("an order")
        };
        let mut looks = FileLooks { hangs: Duration::ZERO, ..FileLooks::new(&metrics, &health, look) };
        let fails = |told: &str| metrics.render(Format::Classic).contains(told);
        looks.begin();
        until(&mut looks, |_| health.detail(HEALTH).is_some_and(|detail| detail.contains("so far"))).await;
        assert!(fails("bulla_keyring_refresh_failing 1"));
        // Two reasons that come meanwhile are one look.
        looks.begin();
        looks.begin();
        assert_eq!(begun.load(SeqCst), 1);
        go_on.send(Err("no file".to_owned())).expect("heard");
        until(&mut looks, |looks| looks.failed.is_some()).await;
        assert!(health.detail(HEALTH).is_some_and(|detail| detail.contains("no file")));
        go_on.send(Ok(())).expect("heard");
        until(&mut looks, |looks| looks.running.is_none()).await;
        assert_eq!((begun.load(SeqCst), health.detail(HEALTH)), (2, None));
        assert!(fails("bulla_keyring_refresh_failing 0"));
    }
}
