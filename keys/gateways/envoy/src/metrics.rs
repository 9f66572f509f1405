//! Envoy's metrics, and what its log is told. Requests are counted in the verifier, and Envoy is told once a second, on
//! its main thread: a request makes no call for them.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

use bulla::gateway::Counters;
use bulla_gateways_shared::now;

use crate::{
    abi::{self, EnvoyConfig, Level, Metric, Scheduler},
    gates::Opened,
    request,
};

const INTERVAL: Duration = Duration::from_secs(1);

/// What a verifier has told so far. Every configuration of it tells, and each number counts once.
#[derive(Default)]
pub(crate) struct Exported {
    accepted: u64,
    rejected: Vec<u64>,
    could_not_tell: Vec<u64>,
    /// The failures that the log was told last.
    problem: Option<String>,
}

/// The metrics of one configuration.
pub(crate) struct Metrics {
    accepted: Metric,
    rejected: Metric,
    could_not_tell: Metric,
    panics: Metric,
    feed_age: Metric,
    feed_seq: Metric,
    revocations: Metric,
}

impl Metrics {
    /// `None` where Envoy refuses one.
    pub(crate) fn define(envoy: &EnvoyConfig) -> Option<Self> {
        Some(Metrics {
            accepted: envoy.counter("bulla_accepted", None)?,
            rejected: envoy.counter("bulla_rejected", Some("reason"))?,
            could_not_tell: envoy.counter("bulla_could_not_tell", Some("reason"))?,
            panics: envoy.counter("bulla_panics", None)?,
            feed_age: envoy.gauge("bulla_feed_age_seconds")?,
            feed_seq: envoy.gauge("bulla_feed_seq")?,
            revocations: envoy.gauge("bulla_revocations")?,
        })
    }

    /// Tells what is new.
    pub(crate) fn export(&self, envoy: &EnvoyConfig, opened: &Opened) {
        let counters: Counters = opened.gate.counters(now());
        let mut exported = opened.exported.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Exported { accepted, rejected, could_not_tell, problem } = &mut *exported;
        let tell = |metric, label, told: &mut u64, total: u64| {
            let more = total.saturating_sub(std::mem::replace(told, total));
            if more > 0 {
                envoy.add(metric, label, more);
            }
        };
        tell(self.accepted, None, accepted, counters.accepted);
        envoy.add(self.panics, None, request::take_panics());
        for (metric, told, reasons) in [
            (self.rejected, rejected, counters.rejected.as_slice()),
            (self.could_not_tell, could_not_tell, counters.could_not_tell.as_slice()),
        ] {
            told.resize(reasons.len(), 0);
            for ((reason, total), told) in reasons.iter().zip(told) {
                tell(metric, Some(reason), told, *total);
            }
        }
        if let Some(age) = counters.feed_age {
            envoy.set(self.feed_age, age);
        }
        envoy.set(self.feed_seq, counters.seq);
        let found = counters.reload_error.or(counters.last_error);
        if found != *problem {
            match &found {
                Some(found) => {
                    abi::log(Level::Warn, &format!("bulla: keys or revocations may not be current: {found}"));
                }
                None => abi::log(Level::Warn, "bulla: keys and revocations are current again"),
            }
            *problem = found;
        }
        envoy.set(self.revocations, u64::try_from(counters.revocations).unwrap_or(u64::MAX));
    }
}

/// A thread that has Envoy ask for the metrics, until it is dropped.
pub(crate) struct Ticker {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(scheduler: Scheduler) -> Option<Self> {
        let (end, ended) = mpsc::channel();
        let tick = move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                scheduler.call();
            }
        };
        let thread = thread::Builder::new().name("bulla-metrics".to_owned()).spawn(tick).ok()?;
        Some(Ticker { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.end.take());
        // It ends at once, with or without a panic.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}
