//! The service: data plane, admin plane and metrics, each on a listener of its own.

mod admin;
mod answers_from_store;
mod app;
mod auth;
mod await_key_sources;
mod blocking;
mod body_budget;
mod client_address;
mod core;
mod data;
mod deadlines;
pub(crate) mod edge;
mod extract;
mod failed_calls;
mod failures;
mod feed;
mod file_watch;
mod fleet;
mod for_fuzzing;
mod housekeeping;
mod key_verifier;
mod listener;
mod live;
mod log_behind;
mod node;
pub(crate) mod old_system;
mod open_files;
mod openapi;
mod problem;
mod propagation;
mod put_in_force;
mod refresh_throttle;
mod rejection;
mod relay;
mod reload;
mod revocations;
mod role;
pub(crate) mod secrets;
pub(crate) mod shutdown;
#[cfg(test)]
mod simulation;
mod snapshot;
mod staleness;
mod start;
mod steady_clock;
mod store_poll;
mod stream_credential;
mod sweeping;

use std::{io, sync::Arc};

use axum::Router;
use tokio::{sync::watch, task::JoinSet};

use self::{
    body_budget::BodyBudget,
    core::{Core, Door},
    data::DataPlane,
    listener::{Answer, Bound, Limits, PeerRequest, Service, Transport, Workers},
    open_files::Shares,
    role::Role,
};
use crate::{
    config::{Listen, Listener, Plane, ServerConfig, UnixMode},
    deployment::DeploymentError,
    telemetry::log,
};

pub(crate) use self::{app::App, file_watch::ConfigFile, for_fuzzing::Unbound, node::Node};

/// The admin plane's memory for bodies, in bodies of the largest size.
const ADMIN_BODIES: usize = 8;

/// The service with its ports open.
pub(crate) struct Server {
    core: Core,
    role: Box<dyn Role>,
    listeners: Vec<Open>,
}

/// A listener with its port open.
struct Open {
    plane: Plane,
    bound: Bound,
    endpoints: Endpoints,
    limits: Limits,
}

/// The endpoints of one listener.
#[derive(Clone)]
enum Endpoints {
    Data(DataPlane),
    Others(Router),
}

impl Service for Endpoints {
    fn call(&self, request: PeerRequest) -> Answer {
        match self {
            Endpoints::Data(plane) => plane.call(request),
            Endpoints::Others(router) => router.call(request),
        }
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
    #[error(transparent)]
    Edge(#[from] edge::EdgeError),
    #[error("cannot listen on {listen}, which is {plane}.listen: {error}{}", advice(.error))]
    Listen { plane: Plane, listen: Listen, error: std::io::Error },
}

/// What to do where an address cannot be had.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process has this address: end it, or set another one",
        _ => "",
    }
}

/// Serves `router` alone, as it would be served beside others: where, and until when.
pub(crate) async fn serve_alone(
    router: Router,
    listen: &Listen,
    config: &ServerConfig,
    stop: watch::Receiver<bool>,
) -> io::Result<(Listen, impl Future<Output = ()> + use<>)> {
    let bound = Bound::bind(listen, UnixMode::USUAL).await?;
    let (address, limits) = (bound.address(), limits(config, BodyBudget::new(config.body_memory())));
    let grace = config.shutdown_grace.0;
    Ok((address, async move {
        bound.serve(router, limits, Transport::Plain, stop, grace, &Workers::of_this_runtime()).await;
    }))
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
    /// Opens the ports of a role.
    async fn open(core: Core, role: Box<dyn Role>) -> Result<Self, StartError> {
        let config = &core.config;
        let (shares, mut listeners) = (Shares::take(&config.server), Vec::new());
        for Listener { plane, listen, unix_mode, .. } in config.listeners() {
            let Some(endpoints) = role.endpoints(plane) else { continue };
            let bound = Bound::bind(listen, unix_mode).await;
            let bound = bound.map_err(|error| StartError::Listen { plane, listen: listen.clone(), error })?;
            // Bodies that clients without a key send to the data plane must not keep administrators from revoking.
            let bodies = match plane {
                Plane::Admin => {
                    BodyBudget::new(ADMIN_BODIES * config.server.max_batch_body.max(config.server.max_body))
                }
                Plane::Data | Plane::Metrics => Arc::clone(&core.bodies),
            };
            let limits = Limits { max_connections: shares.of_plane(plane), ..limits(&config.server, bodies) };
            listeners.push(Open { plane, bound, endpoints, limits });
        }
        Ok(Server { core, role, listeners })
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        let address = |plane: Plane| {
            let open = self.listeners.iter().find(|open| open.plane == plane);
            open.map_or(Listen::None, |open| open.bound.address())
        };
        Addresses { data: address(Plane::Data), admin: address(Plane::Admin), metrics: address(Plane::Metrics) }
    }

    /// Serves until `stop` says so, then finishes what is in flight, for as long as the configuration allows less what
    /// writing down needs.
    pub(crate) async fn serve(mut self, stop: watch::Receiver<bool>) {
        let grace = shutdown::for_requests(self.core.config.server.shutdown_grace.0);
        let (addresses, snapshot) = (self.addresses(), Door::of(&self.core).enter());
        tracing::info!(
            data = %addresses.data,
            admin = %addresses.admin,
            metrics = %addresses.metrics,
            keyring = %snapshot.document.id(),
            serial = snapshot.document.serial(),
            "serving"
        );
        drop(snapshot);
        let others = Arc::new(Workers::of_this_runtime());
        let data = Workers::start().map(Arc::new).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot start threads for the data plane, using those of the other listeners");
            Arc::clone(&others)
        });
        let mut tasks = JoinSet::new();
        self.role.start(&mut tasks, &addresses, &stop);
        self.role.ready().await;
        tasks.spawn(log::tell_what_is_missing(stop.clone()));
        let (core, mut stopped) = (self.core.clone(), stop.clone());
        tasks.spawn(async move {
            let _stopped_or_gone = stopped.wait_for(|stop| *stop).await;
            core.stopping.send_replace(true);
        });
        for Open { plane, bound, endpoints, limits } in self.listeners {
            let transport = Transport::Configured { environment: Arc::new(self.core.clone()), plane };
            let (stop, workers) = (stop.clone(), Arc::clone(if plane == Plane::Data { &data } else { &others }));
            tasks.spawn(async move { bound.serve(endpoints, limits, transport, stop, grace, &workers).await });
        }
        while tasks.join_next().await.is_some() {}
        let mut role = self.role;
        if let Err(panic) = tokio::task::spawn_blocking(move || role.finish()).await {
            tracing::error!(%panic, "uses and failed calls in memory are lost");
        }
        tracing::info!("stopped");
    }
}
