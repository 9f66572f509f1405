//! When a follower reports: on a thread of its own.

use std::{
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{TryRng, rngs::SysRng};

use super::{FollowError, FollowerReport, backoff, new_instance};

/// The shortest time between two reports: what changes in between is in the later one.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// The longest time between two reports, by which a node knows that the follower is there.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Reports on a thread of its own until it is dropped: at once, soon after each [`Reporter::changed`], and every ten
/// seconds. After a failure it waits longer each time, with jitter.
pub struct Reporter(Arc<Signal>, Mutex<Option<JoinHandle<()>>>);

#[derive(Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    changed: bool,
    stopped: bool,
    error: Option<FollowError>,
}

impl Reporter {
    /// Begins to report: `send` posts what `report` says, as [`FollowerReport::body`].
    pub fn start(
        mut report: impl FnMut() -> Vec<FollowerReport> + Send + 'static,
        mut send: impl FnMut(&str) -> Result<(), FollowError> + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let shared = Arc::clone(&signal);
        let run = move || {
            let (mut failures, instance) = (0_u32, new_instance());
            while shared.begin() {
                let reports = report();
                let sent = if reports.is_empty() {
                    Ok(())
                } else {
                    send(&FollowerReport::body(&reports, instance.as_deref()))
                };
                failures = if sent.is_ok() { 0 } else { failures.saturating_add(1) };
                shared.state().error = sent.err();
                let random = SysRng.try_next_u32().unwrap_or(u32::MAX / 2);
                shared.pause(if failures == 0 { MIN_INTERVAL } else { backoff::after_failures(failures, random) });
                if failures == 0 {
                    shared.wait_for_change();
                }
            }
        };
        let thread = thread::Builder::new().name("bulla-report".to_owned()).spawn(run)?;
        Ok(Reporter(signal, Mutex::new(Some(thread))))
    }

    /// Ends, and waits for a report that is on its way.
    pub(super) fn stop(&self) {
        self.end();
        let thread = self.1.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _panicked = thread.map(JoinHandle::join);
    }

    fn end(&self) {
        self.0.state().stopped = true;
        self.0.changed.notify_all();
    }

    /// Says that there is something new to report.
    pub fn changed(&self) {
        self.0.state().changed = true;
        self.0.changed.notify_all();
    }

    /// Why the last report failed, if it did.
    pub fn last_error(&self) -> Option<FollowError> {
        self.0.state().error.clone()
    }
}

impl Drop for Reporter {
    /// Does not wait for a report that is on its way.
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("last_error", &self.last_error()).finish_non_exhaustive()
    }
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes from now on are for the next report. `false` at the end.
    fn begin(&self) -> bool {
        let mut state = self.state();
        state.changed = false;
        !state.stopped
    }

    fn pause(&self, pause: Duration) {
        drop(self.changed.wait_timeout_while(self.state(), pause, |state| !state.stopped));
    }

    fn wait_for_change(&self) {
        let quiet = |state: &mut State| !state.stopped && !state.changed;
        drop(self.changed.wait_timeout_while(self.state(), MAX_INTERVAL, quiet));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::feed::report::tests::report;

    #[test]
    fn it_reports_at_once_after_each_change_and_again_after_a_failure() {
        let (asked, sent) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let mut seq = 0;
        let next = move || {
            seq += 1;
            vec![report(seq)]
        };
        let reporter = Reporter::start(next, move |body| {
            asked.send(body.contains("edge-1")).expect("the test reads");
            answers.recv().expect("the test answers")
        });
        let reporter = reporter.expect("started");
        assert!(sent.recv().expect("at once"));
        // The next report has what happens while one is on its way.
        reporter.changed();
        answer.send(Ok(())).expect("answered");
        assert!(sent.recv().expect("the change"));
        answer.send(Err(FollowError::Status(503))).expect("answered");
        assert!(sent.recv().expect("again"), "though nothing changed");
        assert!(matches!(reporter.last_error(), Some(FollowError::Status(503))));
        drop(reporter);
        answer.send(Ok(())).expect("answered");
        assert!(sent.recv().is_err(), "the thread has ended");
    }
}
