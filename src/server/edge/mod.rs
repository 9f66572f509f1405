//! An edge: a verifier without store and keyring. It follows the feed of nodes, verifies by exported keys, and keeps
//! the last good state on disk: `docs/EDGES.md`.

mod answers_from_node;
mod asking;
mod error;
mod exports;
mod follower;
mod in_force;
mod merge;
mod open_sources;
mod reload;
mod report;
mod secret_changes;
mod source_state;
mod staleness;

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bulla::{
    feed::{FeedState, KeptState, StateFolder, VerifyingKey},
    keyring::{EdgeKey, Exports, KeyringId},
};
use tokio::{signal::unix::Signal, sync::watch, task::JoinSet};

pub(super) use self::{answers_from_node::BehindEdge, in_force::follow_of};
use self::{
    asking::Sources, follower::Follower, reload::Reload, secret_changes::HeardChanges, source_state::SourceState,
};
pub(crate) use self::{
    error::EdgeError,
    exports::{check_complete, read_edge_key, read_exports, realms_of},
    open_sources::open_all as open_sources,
};
use super::{
    body_budget::BodyBudget,
    core::{Callers, Core, CoreParts},
    failures::Failures,
    file_watch::ConfigFile,
    key_verifier::KeyVerifier,
    live::Live,
    snapshot::{EdgeParts, Loaded},
};
use crate::{
    clock,
    config::{Config, FollowConfig},
    telemetry::metrics::Metrics,
};

/// Interval between checks of what is due and how old the state is.
const TICK: Duration = Duration::from_millis(200);
/// How long an edge that starts waits for its sources. The state on its disk may be older than a revocation that others
/// know.
const FIRST_CONTACT: Duration = Duration::from_secs(1);
/// Interval between checks for their answers.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The time between two sweeps of the list, of one part each.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What [`Failures`] calls the state on disk.
const STATE: &str = "edge state";

/// The state that an edge keeps on disk. The edge may be running.
pub(crate) fn kept(follow: &FollowConfig, key: &EdgeKey, now: u64) -> KeptState {
    StateFolder::to_read(&follow.state, key.mac(follow.keyring_id)).load(follow.realm, trusted(follow), now)
}

/// The keyring that is followed, and what signs its feed.
fn trusted(follow: &FollowConfig) -> (KeyringId, &VerifyingKey) {
    (follow.keyring_id, &follow.public_key)
}

/// The parts of an edge.
pub(super) struct Edge {
    pub(super) core: Core,
    follower: Arc<Follower>,
    sources: Sources,
    /// Where nodes may be asked about secret halves.
    heard: Option<Arc<HeardChanges>>,
    folder: Option<StateFolder>,
    name: String,
    /// Whether it reports its place.
    reports: bool,
    reload: Option<Reload>,
    asking: Vec<mpsc::Sender<()>>,
    writing: Option<thread::JoinHandle<()>>,
}

impl Edge {
    /// Reads key, exports and what was kept. No source is asked yet. What changes meanwhile is loaded once it serves.
    pub(super) fn load(config: Config, mut config_file: ConfigFile, hangup: Signal) -> Result<Self, EdgeError> {
        let follow = follow_of(&config)?.clone();
        if realms_of(&config).next().is_none() {
            return Err(EdgeError::NoRealm);
        }
        config_file.before = config_file.before.and(reload::read_at_start(&config));
        let key = read_edge_key(&follow)?;
        let exports = read_exports(&config, &follow, &key, Exports::default());
        check_complete(&exports, realms_of(&config), &follow, &key)?;
        let opened = open_sources::open_all(&follow)?;
        let folder = StateFolder::open(&follow.state, key.mac(follow.keyring_id))?;
        let kept = folder.load(follow.realm, trusted(&follow), clock::now_seconds());
        let health = Arc::new(Failures::default());
        if let Some(trouble) = kept.trouble {
            tracing::error!("{trouble}");
            // Until a state is written, which is once a source has answered.
            health.note(STATE, Some(format!("{trouble}: no key is accepted until a source answers")), clock::now());
        }
        let (metrics, shown) = Metrics::new().with_follow();
        let metrics = Arc::new(metrics);
        let parts = EdgeParts::load(config)?;
        metrics.certificates(parts.tls.expiries());
        let (config, feed) = (parts.config.clone(), kept.state.unwrap_or_else(|| FeedState::new(follow.realm)));
        let keyring = exports.keyring(follow.keyring_id);
        let live = Arc::new(Live::new(Loaded::of_edge(&parts, &keyring, &feed, &metrics)));
        let names = opened.iter().map(|opened| SourceState::new(opened.source.name())).collect();
        let follower = Follower::new(
            (Arc::clone(&live), Arc::clone(&health)),
            (Arc::clone(&metrics), shown),
            (follow.keyring_id, follow.public_key),
            (feed, parts, exports),
            names,
        );
        follower.begin();
        let name = follow.name.clone().map_or_else(|| folder.name(), Ok)?;
        tracing::info!(name, seq = follower.lock().feed.seq(), recipient = %key.recipient(), "edge follows");
        let follower = Arc::new(follower);
        let sources: Sources = opened.into_iter().map(ArcSwap::from_pointee).collect();
        let heard = follow.ask_secrets.then(|| Arc::new(HeardChanges::new(config.secret.cache_ttl.0)));
        let asked = heard.as_ref().map(|heard| (Arc::clone(&sources), Arc::clone(heard)));
        let behind = BehindEdge::new(Arc::clone(&metrics), asked, &config.secret).map_err(EdgeError::Random)?;
        let verification = KeyVerifier::new(Arc::clone(&live), Arc::clone(&metrics), Box::new(behind), Arc::default());
        let (bodies, stopping) = (BodyBudget::new(config.server.body_memory()), watch::Sender::new(false));
        let callers = Callers::Listed;
        let core = Core::new(live, CoreParts { verification, callers, bodies, stopping, metrics, health, config });
        let reload = Reload::new(core.clone(), Arc::clone(&follower), Arc::clone(&sources), key, config_file, hangup);
        Ok(Edge {
            core,
            follower,
            sources,
            heard,
            folder: Some(folder),
            name,
            reports: follow.report,
            reload: Some(reload),
            asking: Vec::new(),
            writing: None,
        })
    }

    /// Begins to follow, and to write down.
    pub(super) fn start(&mut self, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        match asking::start(&self.follower, &self.sources) {
            Ok(asking) => self.asking = asking,
            Err(error) => tracing::error!(%error, "cannot start a thread for each source of the feed"),
        }
        let listening = self.heard.as_ref().map(|heard| secret_changes::start(heard, &self.sources, &self.core.health));
        match listening.unwrap_or(Ok(None)) {
            Ok(stop) => self.asking.extend(stop),
            Err(error) => {
                tracing::error!(%error, "cannot start the thread for changed secret halves: no proof of one is remembered")
            }
        }
        let reported = self.reports.then(|| report::start(&self.follower, &self.sources, self.name.clone()));
        match reported.unwrap_or(Ok(None)) {
            Ok(Some(reporter)) => {
                // It is set nowhere else.
                let _set_already = self.follower.reporter.set(reporter);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "cannot start the reporting thread: this edge is not in the fleet's list")
            }
        }
        let (core, sources, stopped) = (self.core.clone(), Arc::clone(&self.sources), stop.clone());
        tasks.spawn_blocking(move || report::report_uses(&core, &sources, &stopped));
        if let Some(folder) = self.folder.take() {
            let follower = Arc::clone(&self.follower);
            let write = move || {
                follower.writer.run(&folder, |written| follower.note_written(written), || Some(follower.known()));
            };
            match thread::Builder::new().name("edge state".to_owned()).spawn(write) {
                Ok(writing) => self.writing = Some(writing),
                Err(error) => {
                    self.follower.note_written(Err(format!("cannot start the thread that writes the state: {error}")))
                }
            }
            self.follower.writer.whole();
        }
        if let Some(reload) = self.reload.take() {
            tasks.spawn(reload.run(stop.clone()));
        }
        let (follower, stopped) = (Arc::clone(&self.follower), stop.clone());
        tasks.spawn_blocking(move || {
            let mut swept = Instant::now();
            while !*stopped.borrow() {
                thread::sleep(TICK);
                follower.tick();
                if swept.elapsed() >= SWEEP_INTERVAL {
                    follower.sweep(std::mem::replace(&mut swept, Instant::now()).elapsed());
                }
            }
        });
    }

    /// Waits for the first answer of a source that reaches the end of the log, until each source has failed once, or
    /// for [`FIRST_CONTACT`].
    pub(super) fn first_contact(&self) -> impl Future<Output = ()> + use<> {
        let follower = Arc::clone(&self.follower);
        let told = async move {
            while !follower.has_heard_or_failed() {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        async { drop(tokio::time::timeout(FIRST_CONTACT, told).await) }
    }

    /// Stops the questions to the sources, and waits until the state is on disk.
    pub(super) fn finish(&mut self) {
        self.asking.clear();
        self.follower.writer.stop();
        if let Some(writing) = self.writing.take()
            && writing.join().is_err()
        {
            tracing::error!("writing the state down panicked: see the log, and report it");
        }
    }
}
