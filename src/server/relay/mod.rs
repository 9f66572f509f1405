//! A relay: it fans the feed of nodes out to thousands of followers. It has no key that signs or verifies API keys, and
//! hands messages on as they came, byte for byte: `docs/RELAY.md`.

mod endpoint;
mod logs;
mod parts;
mod reader;
mod refusals;
mod reports;
mod snapshots;
mod stream;
mod streams;
mod upstream;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use bulla::{feed::FeedState, keyring::ExportedKeyring};
use tokio::{
    signal::unix::Signal,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::{endpoint::RelayState, reports::Reports, snapshots::RelaySnapshots, streams::Streams};
use super::{
    Addresses, Endpoints,
    body_budget::BodyBudget,
    core::{Callers, Core, CoreParts},
    data,
    edge::{BehindEdge, EdgeError, follow_of, open_sources},
    failures::Failures,
    key_verifier::KeyVerifier,
    live::Live,
    reload::FileLooks,
    role::Role,
    snapshot::{EdgeParts, Loaded},
};
use crate::{
    clock,
    config::{Config, FollowConfig, Plane},
    deployment,
    telemetry::{follow_metrics::FollowMetrics, metrics::Metrics},
};

/// The time between two looks at the streams, for metrics and `/readyz`.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The parts of a relay.
pub(super) struct Relay {
    pub(super) core: Core,
    streams: Arc<Streams>,
    reports: Arc<Reports>,
    snapshots: Arc<RelaySnapshots>,
    open: bool,
    shown: Option<FollowMetrics>,
    reload: Option<Reload>,
}

/// What changes certificates and callers of a running relay.
struct Reload {
    live: Arc<Live>,
    parts: EdgeParts,
    config_path: PathBuf,
    hangup: Signal,
}

impl Relay {
    /// Reads the files that the configuration names, and begins to follow.
    pub(super) fn load(config: Config, config_path: PathBuf, hangup: Signal) -> Result<Self, EdgeError> {
        let follow = follow_of(&config)?.clone();
        let open = follow.open;
        let (metrics, shown) = Metrics::new().with_follow();
        let (metrics, parts) = (Arc::new(metrics), EdgeParts::load(config)?);
        metrics.certificates(parts.tls.expiries());
        let (live, config) = (Arc::new(Live::new(loaded(&parts, &follow, &metrics))), parts.config.clone());
        let behind = BehindEdge::new(Arc::clone(&metrics), None, &config.secret).map_err(EdgeError::Random)?;
        let verification = KeyVerifier::new(Arc::clone(&live), Arc::clone(&metrics), Box::new(behind), Arc::default());
        let parts_of_core = CoreParts {
            verification,
            callers: Callers::Listed,
            bodies: BodyBudget::new(config.server.body_memory()),
            stopping: watch::Sender::new(false),
            metrics,
            health: Arc::new(Failures::default()),
            config,
        };
        let core = Core::new(Arc::clone(&live), parts_of_core);
        let nodes = open_sources(&follow)?.into_iter().filter_map(|opened| opened.node).collect();
        let name = follow.report.then(|| follow.name.clone().unwrap_or_else(reports::default_name));
        let reports = Arc::new(Reports::new(nodes, name));
        let snapshots = Arc::new(RelaySnapshots::new(follow.clone()));
        let streams = Arc::new(Streams::new(follow));
        streams.start()?;
        Ok(Relay {
            core,
            streams,
            reports,
            snapshots,
            open,
            shown: Some(shown),
            reload: Some(Reload { live, parts, config_path, hangup }),
        })
    }
}

impl Role for Relay {
    fn endpoints(&self, plane: Plane) -> Option<Endpoints> {
        let (streams, reports) = (Arc::clone(&self.streams), Arc::clone(&self.reports));
        let snapshots = Arc::clone(&self.snapshots);
        let state = || RelayState { core: self.core.clone(), streams, reports, snapshots, open: self.open };
        match plane {
            Plane::Data => Some(Endpoints::Others(endpoint::router(state()))),
            // Nothing can be administered here.
            Plane::Admin => None,
            Plane::Metrics => Some(Endpoints::Others(data::metrics_router_of_edge(self.core.clone()))),
        }
    }

    fn start(&mut self, tasks: &mut JoinSet<()>, addresses: &Addresses, stop: &watch::Receiver<bool>) {
        if let Some(reload) = self.reload.take() {
            tasks.spawn(reload.run(self.core.clone(), stop.clone()));
        }
        let (core, streams) = (self.core.clone(), Arc::clone(&self.streams));
        let (reports, address, stopped) = (Arc::clone(&self.reports), addresses.data.to_string(), stop.clone());
        tasks.spawn_blocking(move || reports.run(&streams, &address, &core.health, &stopped));
        if let Some(shown) = self.shown.take() {
            let (core, streams, mut stopped) = (self.core.clone(), Arc::clone(&self.streams), stop.clone());
            let snapshots = Arc::clone(&self.snapshots);
            tasks.spawn(async move {
                while tokio::time::timeout(LOOK_INTERVAL, stopped.wait_for(|stop| *stop)).await.is_err() {
                    show(&core, &streams, &shown);
                    snapshots.forget();
                    streams.forget_unread();
                }
            });
        }
    }

    fn finish(&mut self) {}
}

/// Shows the state in metrics and `/readyz`.
fn show(core: &Core, streams: &Streams, shown: &FollowMetrics) {
    let (age, seq) = streams.place(clock::now_seconds());
    shown.state(age, seq, 0);
    streams.refusals.take().into_iter().for_each(|(reason, count)| shown.refused(reason, count));
    let trouble = streams.trouble();
    shown.sources_failing(usize::from(trouble.is_some()));
    if core.health.note("follow source", trouble.clone(), clock::now()) {
        match trouble {
            Some(error) => tracing::warn!(error, "a source of the relay brings nothing that may be handed on"),
            None => tracing::info!("all is well again with the sources of the relay"),
        }
    }
}

impl Reload {
    /// Reads configuration and certificates again, on SIGHUP and at an interval.
    async fn run(self, core: Core, mut stop: watch::Receiver<bool>) {
        let Reload { live, parts, config_path, mut hangup } = self;
        let interval = core.config.keyring.refresh_interval.0;
        let (metrics, health) = (Arc::clone(&core.metrics), Arc::clone(&core.health));
        let parts = ArcSwap::from_pointee(parts);
        let mut looks = FileLooks::new(&metrics, &health, move || {
            look(&parts.load_full(), &config_path, &core, &live).map(|read| parts.store(Arc::new(read)))
        });
        let mut next = Instant::now() + interval;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = looks.proceed() => continue,
                _ = hangup.recv() => {}
                () = sleep_until(next) => {}
            }
            looks.begin();
            next = Instant::now() + interval;
        }
    }
}

/// The parts as they are now, put in force. Certificates are read whatever the configuration looks like.
fn look(before: &EdgeParts, path: &Path, core: &Core, live: &Live) -> Result<EdgeParts, String> {
    let (config, error) = match changed_config(path, core) {
        Ok(config) => (config, None),
        Err(error) => (before.config.clone(), Some(error)),
    };
    let follow = follow_of(&config).map_err(|error| error.to_string())?.clone();
    let (parts, failed) = before.reload(config);
    let failed: Vec<String> = error.into_iter().chain(failed).collect();
    core.metrics.certificates(parts.tls.expiries());
    live.put_loaded(loaded(&parts, &follow, &core.metrics));
    core.check_certificates();
    if failed.is_empty() { Ok(parts) } else { Err(failed.join("; ")) }
}

/// The configuration as it is in its file now, which is still a relay's.
fn changed_config(path: &Path, core: &Core) -> Result<Config, String> {
    let mut config = deployment::load(path).map_err(|error| error.to_string())?;
    config.listen_as(&core.config);
    follow_of(&config).map_err(|error| error.to_string())?;
    Ok(config)
}

/// The state of a verifier that has no key: nothing is verified here.
fn loaded(parts: &EdgeParts, follow: &FollowConfig, metrics: &Metrics) -> Loaded {
    Loaded::of_edge(parts, &ExportedKeyring::new(follow.keyring_id, &[]), &FeedState::new(follow.realm), metrics)
}
