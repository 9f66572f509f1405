//! When something is reloaded: on SIGHUP, when a file changes, at an interval, when a presented key names an unknown
//! version, and after a failed reload.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    signal::unix::Signal,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    FirstOutcome, LookOutcome, SecondPart, Trigger, first,
    job::{Job, end_of},
    sources::{self, ReloadMemory},
};
use crate::{
    action::rotation,
    clock,
    server::{
        Node,
        file_watch::{self as files, ConfigFile, FileStamps, Watch},
    },
};

/// The first retry delay; it doubles up to the refresh interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Interval between checks for a part of a reload that hangs.
pub(super) const TICK: Duration = Duration::from_millis(500);
/// How long a part of a reload may take before `/readyz` shows it.
pub(super) const HANGS: Duration = Duration::from_secs(5);

/// The loop that reloads.
pub(in crate::server) struct ReloadLoop {
    node: Arc<Node>,
    config: PathBuf,
    hangup: Signal,
    /// The files as they were before they were read.
    before: Arc<FileStamps>,
    retry: Option<(Instant, Duration)>,
    /// The first part of a look, and the reason for the next one.
    publishing: Option<Job<Result<FirstOutcome, String>>>,
    publish_next: Option<Trigger>,
    /// The second part, and the next one.
    asking: Option<Job<LookOutcome>>,
    ask_next: Option<SecondPart>,
    /// How the last look ended.
    failed: Option<String>,
    seen: Arc<ReloadMemory>,
}

impl ReloadLoop {
    /// The configuration is read again from `config`, which also has how the node's other files were before they were
    /// read.
    pub(in crate::server) fn new(node: Arc<Node>, config: ConfigFile, hangup: Signal) -> Self {
        let ConfigFile { path, before } = config;
        ReloadLoop {
            node,
            config: path,
            hangup,
            before: Arc::new(before),
            retry: None,
            publishing: None,
            publish_next: None,
            asking: None,
            ask_next: None,
            failed: None,
            seen: Arc::default(),
        }
    }

    /// Runs until `stop`.
    pub(in crate::server) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let interval = self.node.config.keyring.refresh_interval.0;
        let mut next = Instant::now() + interval;
        let (node, seen) = (Arc::clone(&self.node), Arc::clone(&self.seen));
        let _first = Job::start(Trigger::Interval, move || sources::warn_of_budgets(&node, &seen));
        let path = self.config.clone();
        let documents = Watch::start(&self.node, Arc::clone(&self.before), move |node| files::documents(node, &path));
        let keys = Watch::start(&self.node, Arc::clone(&self.before), files::keys);
        loop {
            let retry = self.retry.map_or_else(never, |(at, _)| at);
            let trigger = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                (trigger, published) = end_of(&mut self.publishing) => {
                    self.published(trigger, published);
                    continue;
                }
                (trigger, asked) = end_of(&mut self.asking) => {
                    self.asked(trigger, asked);
                    continue;
                }
                _ = self.hangup.recv() => Trigger::Signal,
                () = self.node.verification.refresh.requested() => Trigger::UnknownVersion,
                () = documents.changed() => Trigger::File,
                () = keys.changed() => Trigger::File,
                () = sleep_until(next) => Trigger::Interval,
                () = sleep_until(retry), if self.retry.is_some() => Trigger::Retry,
                () = tokio::time::sleep(TICK) => {
                    self.report_health();
                    continue;
                }
            };
            self.look(trigger);
            next = Instant::now() + interval;
        }
    }

    /// Begins a look, now or when the current one ends.
    fn look(&mut self, trigger: Trigger) {
        // The end of this look says when the next one is due.
        self.retry = self.retry.map(|(_, wait)| (never(), wait));
        if self.publishing.is_some() {
            self.publish_next = Some(trigger.or(self.publish_next));
            return;
        }
        let (node, config) = (Arc::clone(&self.node), self.config.clone());
        self.publishing = Some(Job::start(trigger, move || first::take(&node, &config)));
    }

    fn published(&mut self, trigger: Trigger, published: Option<Result<FirstOutcome, String>>) {
        match published {
            Some(Ok(first)) => {
                // It shows while the second part hangs, too.
                self.failed = Some(first.failed.join("; ")).filter(|failed| !failed.is_empty()).or(self.failed.take());
                self.report_health();
                self.ask(SecondPart { trigger, first });
            }
            Some(Err(error)) => self.finish(failed_look(trigger, error)),
            None => self.finish(failed_look(trigger, DEFECT.to_owned())),
        }
        if let Some(next) = self.publish_next.take() {
            self.look(next);
        }
    }

    /// Begins the second part, now or when the current one ends.
    fn ask(&mut self, second: SecondPart) {
        if self.asking.is_some() {
            let before = self.ask_next.take();
            let trigger = second.trigger.or(before.as_ref().map(|before| before.trigger));
            let changed = second.first.changed || before.is_some_and(|before| before.first.changed);
            self.ask_next = Some(SecondPart { trigger, first: FirstOutcome { changed, ..second.first } });
            return;
        }
        let (node, seen, retries) = (Arc::clone(&self.node), Arc::clone(&self.seen), self.retry.is_some());
        self.asking = Some(Job::start(second.trigger, move || sources::take(&node, second, &seen, retries)));
    }

    fn asked(&mut self, trigger: Trigger, asked: Option<LookOutcome>) {
        self.finish(asked.unwrap_or_else(|| failed_look(trigger, DEFECT.to_owned())));
        if let Some(next) = self.ask_next.take() {
            self.ask(next);
        }
    }

    /// Says how a look ended, and when the next one is due if it failed.
    fn finish(&mut self, LookOutcome { trigger, loaded, changed, failed }: LookOutcome) {
        let error = Some(failed.join("; ")).filter(|failed| !failed.is_empty());
        if loaded && (changed || trigger.asks_all() || self.retry.is_some()) {
            let serial = self.node.snapshot().document.serial();
            tracing::info!(?trigger, serial, "keyring and configuration loaded");
        } else if changed {
            let serial = self.node.snapshot().document.serial();
            tracing::info!(?trigger, serial, "changes loaded in part: the rest stays in force as it was");
        }
        self.node.metrics.refreshed(error.is_none());
        self.retry = error.as_ref().map(|error| {
            let most = self.node.config.keyring.refresh_interval.0.max(FIRST_RETRY);
            let wait = self.retry.map_or(FIRST_RETRY, |(_, before)| (before * 2).min(most));
            tracing::warn!(?trigger, %error, retry_in = ?wait, "reload failed in part, retrying");
            (Instant::now() + wait, wait)
        });
        self.failed = error;
        self.report_health();
        self.node.check_certificates();
    }

    /// Shows in `/readyz` and metrics how the last look ended, and what hangs.
    fn report_health(&self) {
        let now = clock::now();
        let hangs = |begun: Instant, what: &str| {
            let seconds = begun.elapsed().as_secs();
            (begun.elapsed() > HANGS).then(|| format!("{what} has taken {seconds} s so far"))
        };
        let publishing = self.publishing.as_ref().and_then(|job| hangs(job.begun, "reading configuration and keyring"));
        let asking = self.asking.as_ref().and_then(|job| hangs(job.begun, "asking the key sources"));
        let longest = [self.publishing.as_ref().map(|job| job.begun), self.asking.as_ref().map(|job| job.begun)];
        let longest = longest.into_iter().flatten().map(|begun| begun.elapsed()).max();
        let messages: Vec<String> = [publishing, asking, self.failed.clone()].into_iter().flatten().collect();
        self.node.metrics.refreshing(longest.unwrap_or_default(), !messages.is_empty());
        self.node.health.note("keyring", Some(messages.join("; ")).filter(|messages| !messages.is_empty()), now);
        let behind = rotation::ahead_of(&self.node.snapshot().document, now).map(|latest| {
            format!(
                "it is {now} here, and the keyring was changed at {latest}: set the clock (chrony, systemd-timesyncd)"
            )
        });
        if self.node.health.note("clock", behind.clone(), now)
            && let Some(behind) = behind
        {
            tracing::warn!("{behind}");
        }
    }
}

/// A time that never comes.
fn never() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

const DEFECT: &str = "reading configuration and keyring panicked: see the log, and report it";

/// A look that failed.
fn failed_look(trigger: Trigger, error: String) -> LookOutcome {
    LookOutcome { trigger, loaded: false, changed: false, failed: vec![error] }
}
