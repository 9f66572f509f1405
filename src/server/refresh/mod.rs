//! Keeps keyring, configuration and certificates fresh: on SIGHUP, on a changed file, on an interval, and when a presented
//! key names a version that nobody here knows. What cannot be loaded takes nothing away that is at hand.
//!
//! A look has two parts, each on a thread that may hang for itself. The first puts in force what configuration and keyring say,
//! with the keys at hand. The second asks key sources, and takes the next step of rotation. While one of them hangs the other
//! goes on, and `/readyz` says so.

mod job;
mod second;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bulla::keyring::KeyringError;
use tokio::{
    signal::unix::Signal,
    sync::watch,
    time::{Instant, sleep_until},
};

use self::{
    job::{Job, end_of},
    second::Seen,
};
use super::{
    App,
    file_watch::{self as files, Watch},
};
use crate::{
    action::rotation,
    clock,
    deployment::{self, DeploymentError},
};

/// The first wait after a failure; it doubles up to the refresh interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether a part of a look hangs.
const TICK: Duration = Duration::from_millis(500);
/// How long a part of a look may take before it is told.
const HANGS: Duration = Duration::from_secs(5);

/// Why a look is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trigger {
    Signal,
    File,
    Interval,
    UnknownVersion,
    Retry,
}

/// The loop that keeps one process fresh.
pub(super) struct Refresher {
    app: Arc<App>,
    config: PathBuf,
    hangup: Signal,
    documents: Watch,
    keys: Watch,
    retry: Option<(Instant, Duration)>,
    /// The first part of a look, and the reason for the next one.
    publishing: Option<Job<Result<Published, DeploymentError>>>,
    publish_next: Option<Trigger>,
    /// The second part, and the next one.
    asking: Option<Job<Asked>>,
    ask_next: Option<Second>,
    /// How the last look ended.
    failed: Option<String>,
    seen: Arc<Seen>,
}

/// What came of the first part.
struct Published {
    changed: bool,
    failed: Vec<String>,
    /// The document may be under another MAC key than the one at hand.
    wants_mac_key: bool,
}

/// What the second part has to do.
struct Second {
    trigger: Trigger,
    first: Published,
}

/// What came of the second part, and so of the look.
struct Asked {
    trigger: Trigger,
    /// Whether configuration and keyring could be read.
    loaded: bool,
    changed: bool,
    failed: Vec<String>,
}

impl Trigger {
    /// Whether sources are asked also for what is at hand.
    fn asks_all(self) -> bool {
        matches!(self, Trigger::Signal | Trigger::Retry)
    }

    /// One look for both reasons.
    fn or(self, other: Option<Trigger>) -> Trigger {
        other.filter(|other| other.asks_all()).unwrap_or(self)
    }
}

impl Refresher {
    /// The configuration is read again from `config`.
    pub(super) fn new(app: Arc<App>, config: PathBuf, hangup: Signal) -> Self {
        let path = config.clone();
        Refresher {
            documents: Watch::start(&app, move |app| files::documents(app, &path)),
            keys: Watch::start(&app, files::keys),
            app,
            config,
            hangup,
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
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let interval = self.app.config.keyring.refresh_interval.0;
        let mut next = Instant::now() + interval;
        let (app, seen) = (Arc::clone(&self.app), Arc::clone(&self.seen));
        let _first = Job::start(Trigger::Interval, move || second::warn_of_budgets(&app, &seen));
        loop {
            let retry = self.retry.map_or_else(far, |(at, _)| at);
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
                () = self.app.verification.refresh.requested() => Trigger::UnknownVersion,
                () = self.documents.changed() => Trigger::File,
                () = self.keys.changed() => Trigger::File,
                () = sleep_until(next) => Trigger::Interval,
                () = sleep_until(retry), if self.retry.is_some() => Trigger::Retry,
                () = tokio::time::sleep(TICK) => {
                    self.tell();
                    continue;
                }
            };
            self.look(trigger);
            next = Instant::now() + interval;
        }
    }

    /// Begins a look, or has one begin when the one that is under way ends.
    fn look(&mut self, trigger: Trigger) {
        // The end of this look says when the next one is due.
        self.retry = self.retry.map(|(_, wait)| (far(), wait));
        if self.publishing.is_some() {
            self.publish_next = Some(trigger.or(self.publish_next));
            return;
        }
        let (app, config) = (Arc::clone(&self.app), self.config.clone());
        self.publishing = Some(Job::start(trigger, move || {
            let mut config = deployment::load(&config)?;
            config.listen_as(&app.config);
            let (changed, failed, wants_mac_key) = match app.reloader.publish(Some(config)) {
                Ok(published) => (published.changed, published.failed, false),
                Err(DeploymentError::Keyring(KeyringError::MacWrong)) => (false, Vec::new(), true),
                Err(error) => return Err(error),
            };
            Ok(Published { changed, failed, wants_mac_key })
        }));
    }

    fn published(&mut self, trigger: Trigger, published: Option<Result<Published, DeploymentError>>) {
        match published {
            Some(Ok(first)) => self.ask(Second { trigger, first }),
            Some(Err(error)) => self.finish(nothing(trigger, error.to_string())),
            None => self.finish(nothing(trigger, DEFECT.to_owned())),
        }
        if let Some(next) = self.publish_next.take() {
            self.look(next);
        }
    }

    /// Begins the second part, or has one begin when the one that is under way ends.
    fn ask(&mut self, second: Second) {
        if self.asking.is_some() {
            let before = self.ask_next.take();
            let trigger = second.trigger.or(before.as_ref().map(|before| before.trigger));
            let changed = second.first.changed || before.is_some_and(|before| before.first.changed);
            self.ask_next = Some(Second { trigger, first: Published { changed, ..second.first } });
            return;
        }
        let (app, seen, retries) = (Arc::clone(&self.app), Arc::clone(&self.seen), self.retry.is_some());
        self.asking = Some(Job::start(second.trigger, move || second::take(&app, second, &seen, retries)));
    }

    fn asked(&mut self, trigger: Trigger, asked: Option<Asked>) {
        self.finish(asked.unwrap_or_else(|| nothing(trigger, DEFECT.to_owned())));
        if let Some(next) = self.ask_next.take() {
            self.ask(next);
        }
    }

    /// Says how a look ended, and when the next one is due if it failed.
    fn finish(&mut self, Asked { trigger, loaded, changed, failed }: Asked) {
        let error = Some(failed.join("; ")).filter(|failed| !failed.is_empty());
        if loaded && (changed || trigger.asks_all() || self.retry.is_some()) {
            let serial = self.app.snapshot().document.serial();
            tracing::info!(?trigger, serial, "keyring and configuration loaded");
        }
        self.app.metrics.refreshed(error.is_none());
        self.retry = error.as_ref().map(|error| {
            let most = self.app.config.keyring.refresh_interval.0.max(FIRST_RETRY);
            let wait = self.retry.map_or(FIRST_RETRY, |(_, before)| (before * 2).min(most));
            tracing::warn!(?trigger, %error, retry_in = ?wait, "not all of keyring and configuration could be loaded");
            (Instant::now() + wait, wait)
        });
        self.failed = error;
        self.tell();
        self.app.check_certificates();
    }

    /// Shows in `/readyz` and metrics how the last look ended, and what hangs.
    fn tell(&self) {
        let now = clock::now();
        let hangs = |begun: Instant, what: &str| {
            let seconds = begun.elapsed().as_secs();
            (begun.elapsed() > HANGS).then(|| format!("{what} has taken {seconds} s so far"))
        };
        let publishing = self.publishing.as_ref().and_then(|job| hangs(job.begun, "reading configuration and keyring"));
        let asking = self.asking.as_ref().and_then(|job| hangs(job.begun, "asking the key sources"));
        let longest = [self.publishing.as_ref().map(|job| job.begun), self.asking.as_ref().map(|job| job.begun)];
        let longest = longest.into_iter().flatten().map(|begun| begun.elapsed()).max();
        let told: Vec<String> = [publishing, asking, self.failed.clone()].into_iter().flatten().collect();
        self.app.metrics.refreshing(longest.unwrap_or_default(), !told.is_empty());
        self.app.health.note("keyring", Some(told.join("; ")).filter(|told| !told.is_empty()), now);
        let behind = rotation::ahead_of(&self.app.snapshot().document, now).map(|latest| {
            format!(
                "it is {now} here, and the keyring was changed at {latest}: set the clock (chrony, systemd-timesyncd)"
            )
        });
        if self.app.health.note("clock", behind.clone(), now)
            && let Some(behind) = behind
        {
            tracing::warn!("{behind}");
        }
    }
}

/// A time that does not come.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

const DEFECT: &str = "a look ended in a defect: the log says more";

/// A look that came to nothing.
fn nothing(trigger: Trigger, error: String) -> Asked {
    Asked { trigger, loaded: false, changed: false, failed: vec![error] }
}
