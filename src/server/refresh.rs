//! Keeps keyring, configuration and certificates fresh: on SIGHUP, on a changed file, on an interval, and when a presented
//! key names a version that nobody here knows. What cannot be loaded takes nothing away that is at hand.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{KeyringError, SourceRecord};
use serde_json::json;
use tokio::{
    signal::unix::Signal,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{App, state::Reloaded};
use crate::{
    action::issue::seal_warning,
    action::{
        Actor,
        keyring::{Activate, Change, Stage},
    },
    clock,
    deployment::{Deployment, DeploymentError},
    rotation::{self, Step},
    store::{SealCount, transact},
};

/// How often the files are looked at for a change.
const LOOK: Duration = Duration::from_millis(500);
/// The first wait after a failure; it doubles up to the refresh interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);

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
    files: Vec<Option<Stamp>>,
    retry: Option<(Instant, Duration)>,
    /// Realms and versions whose budget was warned of.
    warned: HashSet<(String, u32)>,
}

/// What tells a changed file from the one seen before.
type Stamp = (SystemTime, u64, u64);

impl Refresher {
    /// The configuration is read again from `config`.
    pub(super) fn new(app: Arc<App>, config: PathBuf, hangup: Signal) -> Self {
        let files = stamps(&app, &config);
        Refresher { app, config, hangup, files, retry: None, warned: HashSet::new() }
    }

    /// Runs until `stop`.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let interval = self.app.config.keyring.refresh_interval.0;
        let mut next = Instant::now() + interval;
        self.warn_of_budgets().await;
        loop {
            let retry = self.retry.map_or_else(|| Instant::now() + Duration::from_secs(86_400), |(at, _)| at);
            let trigger = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = self.hangup.recv() => Some(Trigger::Signal),
                () = self.app.freshness.wished() => Some(Trigger::UnknownVersion),
                () = sleep_until(next) => Some(Trigger::Interval),
                () = sleep_until(retry), if self.retry.is_some() => Some(Trigger::Retry),
                () = tokio::time::sleep(LOOK) => self.files_changed().then_some(Trigger::File),
            };
            if let Some(trigger) = trigger {
                self.look(trigger).await;
                next = Instant::now() + interval;
            }
        }
    }

    fn files_changed(&mut self) -> bool {
        let now = stamps(&self.app, &self.config);
        let changed = now != self.files;
        self.files = now;
        changed
    }

    /// Says once of each realm and version that more than half of its seal budget is used.
    async fn warn_of_budgets(&mut self) {
        let app = Arc::clone(&self.app);
        let Ok(Ok(counts)) = tokio::task::spawn_blocking(move || app.store.seal_counts()).await else { return };
        for SealCount { realm, version, count } in counts {
            let snapshot = self.app.snapshot();
            let suite = snapshot.document.versions().iter().find(|record| record.number.number() == version);
            let half = seal_warning(suite.map(|record| record.suite));
            if half.is_some_and(|half| count >= half) && self.warned.insert((realm.clone(), version)) {
                tracing::warn!(
                    realm,
                    version,
                    count,
                    "half of what suite 1 may seal is sealed: plan the next rotation"
                );
            }
        }
    }

    async fn look(&mut self, trigger: Trigger) {
        self.warn_of_budgets().await;
        let (app, config) = (Arc::clone(&self.app), self.config.clone());
        let anyway = matches!(trigger, Trigger::Signal | Trigger::Retry);
        let looked = tokio::task::spawn_blocking(move || look(&app, &config, anyway)).await;
        let error = match looked {
            Ok(Ok(reloaded)) => {
                if reloaded.changed || anyway || self.retry.is_some() {
                    let serial = self.app.snapshot().document.serial();
                    tracing::info!(?trigger, serial, "keyring and configuration loaded");
                    self.record(trigger, serial).await;
                }
                Some(reloaded.failed.join("; ")).filter(|failed| !failed.is_empty())
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        self.app.metrics.refreshed(error.is_none());
        self.retry = error.as_ref().map(|error| {
            let most = self.app.config.keyring.refresh_interval.0.max(FIRST_RETRY);
            let wait = self.retry.map_or(FIRST_RETRY, |(_, before)| (before * 2).min(most));
            tracing::warn!(?trigger, %error, retry_in = ?wait, "not all of keyring and configuration could be loaded");
            (Instant::now() + wait, wait)
        });
        self.app.degraded.note("keyring", error, clock::now());
        self.app.look_at_certificates();
    }
}

impl Refresher {
    /// Notes a reload in the audit. It has happened, written down or not: it must not wait for the store.
    async fn record(&self, trigger: Trigger, serial: u64) {
        let (app, trigger) = (Arc::clone(&self.app), format!("{trigger:?}").to_lowercase());
        let recorded = tokio::task::spawn_blocking(move || {
            let detail = json!({"trigger": trigger, "serial": serial});
            let record = Actor::service().record(clock::now(), "config.reload", None, detail);
            transact(&*app.store, |transaction| transaction.append_audit(&record))
        });
        if let Ok(Err(error)) = recorded.await {
            tracing::warn!(%error, "a reload is missing in the audit");
        }
    }
}

/// One look: whatever changed, then the rotation that is due, and what that changed.
fn look(app: &App, config: &Path, ask_again: bool) -> Result<Reloaded, DeploymentError> {
    let mut deployment = Deployment::open(config)?;
    deployment.config.listen_as(&app.config);
    let mut reloaded = app.reload(&deployment, ask_again)?;
    match rotate(app, &deployment) {
        Ok(false) => {}
        Ok(true) => {
            let after = app.reload(&deployment, false)?;
            reloaded = Reloaded { changed: true, failed: after.failed };
        }
        Err(error) => reloaded.failed.push(format!("automatic rotation: {error}")),
    }
    Ok(reloaded)
}

/// Takes the next step of automatic rotation, if one is due. Processes that share a keyring may find the same step due:
/// the second finds it taken once it holds the lock, and its change is refused. Whether the keyring changed.
fn rotate(app: &App, deployment: &Deployment) -> Result<bool, DeploymentError> {
    let (config, now) = (&deployment.config, clock::now());
    let step = {
        let snapshot = app.snapshot();
        rotation::next_step(&snapshot.document, &config.rotation, config.keyring.refresh_interval, now)
    };
    let change = match step {
        None => return Ok(false),
        Some(Step::NoSourceLeft) => {
            tracing::warn!(
                "the active version is due for rotation, and rotation.sources has none that is not in use: add one"
            );
            return Ok(false);
        }
        Some(Step::Stage(uri)) => Change::Stage(Stage { sources: vec![uri], suite: config.rotation.suite }),
        Some(Step::Activate(version)) => Change::Activate(version, Activate { rollback: false, require_loaded: true }),
    };
    match change.apply(deployment, &*app.store, &Actor::service(), now) {
        Ok(_) => Ok(true),
        Err(DeploymentError::Keyring(
            error @ (KeyringError::IllegalMove { .. } | KeyringError::SameMaster { .. } | KeyringError::Unknown(_)),
        )) => {
            tracing::info!(%error, "another process rotated first");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The files whose change is seen without anyone announcing it: configuration, keyring, key files, and certificates.
fn stamps(app: &App, config: &Path) -> Vec<Option<Stamp>> {
    let snapshot = app.snapshot();
    let folder = &snapshot.config.folder;
    let key_file = |source: &SourceRecord| (source.uri.scheme() == "file").then(|| folder.join(source.uri.rest()));
    let keyring = Some(&snapshot.config.keyring.source).filter(|source| source.scheme() == "file");
    let mut paths = vec![config.to_owned()];
    paths.extend(keyring.map(|source| folder.join(source.rest())));
    paths.extend(snapshot.document.versions().iter().flat_map(|record| record.sources.iter().filter_map(key_file)));
    let tls = snapshot.config.listeners().into_iter().filter_map(|listener| listener.tls);
    paths.extend(tls.flat_map(|tls| tls.files().map(Path::to_owned)));
    paths.iter().map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
