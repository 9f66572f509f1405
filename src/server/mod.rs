//! The service: data plane, admin plane and metrics, each on a listener of its own.

mod admin;
mod app;
mod auth;
mod blocking;
mod budget;
mod client_address;
mod data;
mod deadlines;
mod descriptors;
mod door;
mod extract;
mod failed_calls;
mod feed;
mod file_watch;
mod following;
mod health;
mod housekeeping;
mod listener;
mod live;
mod openapi;
mod problem;
mod refresh;
mod refresh_throttle;
mod rejection;
mod reload;
#[cfg(test)]
mod reload_tests;
mod replacement;
mod revocations;
pub(crate) mod secrets;
pub(crate) mod shutdown;
#[cfg(test)]
mod simulation;
mod snapshot;
mod start;
mod steady_clock;
mod stream_credential;
mod sweeping;
mod unbound;
mod verification;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, response::Response};
use futures_util::{FutureExt, future::Either};
use tokio::{signal::unix::Signal, sync::watch, task::JoinSet};

use self::{
    budget::BodyBudget,
    data::DataPlane,
    descriptors::Shares,
    listener::{Bound, Environment, Limits, PeerRequest, Service, Transport},
    refresh::Refresher,
};
use crate::{
    config::{Listen, Listener, Plane, ServerConfig, UnixMode},
    deployment::{Deployment, DeploymentError},
    telemetry::log,
};

pub(crate) use self::{app::App, unbound::Unbound};

/// The admin plane's memory for bodies, in bodies of the largest size.
const ADMIN_BODIES: usize = 8;

/// The service with its ports open.
pub(crate) struct Server {
    app: Arc<App>,
    refresher: Refresher,
    listeners: Vec<(Bound, Endpoints, Transport, Limits)>,
    grace: Duration,
}

/// The endpoints of one listener.
#[derive(Clone)]
enum Endpoints {
    Data(DataPlane),
    Others(Router),
}

impl Service for Endpoints {
    fn call(self, request: PeerRequest) -> impl Future<Output = Response> + Send {
        match self {
            Endpoints::Data(plane) => Either::Left(plane.call(request)),
            Endpoints::Others(router) => Either::Right(router.call(request).boxed()),
        }
    }
}

impl Environment for App {
    fn tls(&self, plane: Plane) -> Option<Arc<rustls::ServerConfig>> {
        self.snapshot().tls().of(plane).map(|tls| Arc::clone(&tls.config))
    }

    fn handshake_failed(&self, plane: Plane) {
        self.metrics.handshake_failed(plane);
    }

    fn connection_evicted(&self, plane: Plane) {
        self.metrics.connection_evicted(plane);
    }
}

/// Where the service listens, with the ports it was given.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) data: Listen,
    pub(crate) admin: Listen,
    pub(crate) metrics: Listen,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error("cannot listen on {listen}: {error}")]
    Listen { listen: Listen, error: std::io::Error },
}

/// Serves `router` alone, as it would be served beside others: where, and until when.
pub(crate) async fn serve_alone(
    router: Router,
    listen: &Listen,
    config: &ServerConfig,
    stop: watch::Receiver<bool>,
) -> io::Result<(Listen, impl Future<Output = ()> + use<>)> {
    let bound = Bound::bind(listen, UnixMode::USUAL).await?;
    Ok((
        bound.address(),
        bound.serve(
            router,
            limits(config, BodyBudget::new(config.body_memory())),
            Transport::Plain,
            stop,
            config.shutdown_grace.0,
        ),
    ))
}

fn limits(config: &ServerConfig, bodies: Arc<BodyBudget>) -> Limits {
    Limits {
        max_head: config.max_head,
        head_timeout: config.head_timeout.0,
        body_timeout: config.body_timeout.0,
        idle_timeout: config.idle_timeout.0,
        max_connections: config.max_connections,
        bodies,
    }
}

impl Server {
    /// Loads everything, with `wait_for_source` once the key sources answer, and then opens the ports. The configuration is read again from `config_path` when something
    /// changes, and at every `hangup`.
    pub(crate) async fn start(
        deployment: Deployment,
        config_path: PathBuf,
        hangup: Signal,
        wait_for_source: bool,
    ) -> Result<Self, StartError> {
        let config = deployment.config.clone();
        let app = tokio::task::spawn_blocking(move || App::load(deployment, wait_for_source)).await.unwrap_or_else(
            |panic| {
                std::panic::resume_unwind(panic.into_panic());
            },
        )?;
        let app = Arc::new(app);
        let refresher = Refresher::new(Arc::clone(&app), config_path, hangup);
        let (shares, mut listeners) = (Shares::take(&config.server), Vec::new());
        for Listener { plane, listen, unix_mode, .. } in config.listeners() {
            let bound = Bound::bind(listen, unix_mode).await;
            let bound = bound.map_err(|error| StartError::Listen { listen: listen.clone(), error })?;
            let endpoints = match plane {
                Plane::Data => Endpoints::Data(DataPlane::new(Arc::clone(&app))),
                Plane::Admin => Endpoints::Others(admin::router(Arc::clone(&app))),
                Plane::Metrics => Endpoints::Others(data::metrics_router(Arc::clone(&app))),
            };
            // Bodies that clients without a key send to the data plane must not keep administrators from revoking.
            let bodies = match plane {
                Plane::Admin => {
                    BodyBudget::new(ADMIN_BODIES * config.server.max_batch_body.max(config.server.max_body))
                }
                Plane::Data | Plane::Metrics => Arc::clone(&app.planes.bodies),
            };
            let limits = limits(&config.server, bodies);
            let limits = Limits { max_connections: shares.of_plane(plane), ..limits };
            listeners.push((
                bound,
                endpoints,
                Transport::Configured { environment: Arc::clone(&app) as _, plane },
                limits,
            ));
        }
        Ok(Server { app, refresher, listeners, grace: config.server.shutdown_grace.0 })
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        let address = |at: usize| self.listeners.get(at).map_or(Listen::None, |(bound, ..)| bound.address());
        Addresses { data: address(0), admin: address(1), metrics: address(2) }
    }

    /// Serves until `stop` says so, then finishes what is in flight, for as long as the configuration allows less what writing
    /// down needs.
    pub(crate) async fn serve(self, stop: watch::Receiver<bool>) {
        let grace = shutdown::for_requests(self.grace);
        let addresses = self.addresses();
        tracing::info!(
            data = %addresses.data,
            admin = %addresses.admin,
            metrics = %addresses.metrics,
            keyring = %self.app.snapshot().document.id(),
            serial = self.app.snapshot().document.serial(),
            "serving"
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(self.refresher.run(stop.clone()));
        tasks.spawn(log::tell_what_is_missing(stop.clone()));
        let (app, mut stopped) = (Arc::clone(&self.app), stop.clone());
        tasks.spawn(async move {
            let _stopped_or_gone = stopped.wait_for(|stop| *stop).await;
            app.planes.stopping.send_replace(true);
        });
        for work in [deadlines::run, following::run, housekeeping::run] {
            let (app, stopped) = (Arc::clone(&self.app), stop.clone());
            tasks.spawn_blocking(move || work(&app, &stopped));
        }
        for (bound, endpoints, transport, limits) in self.listeners {
            tasks.spawn(bound.serve(endpoints, limits, transport, stop.clone(), grace));
        }
        while tasks.join_next().await.is_some() {}
        let app = Arc::clone(&self.app);
        if let Err(panic) = tokio::task::spawn_blocking(move || housekeeping::finish(&app)).await {
            tracing::error!(%panic, "uses and failed calls in memory are lost");
        }
        tracing::info!("stopped");
    }
}
