//! What makes a node a node, an edge an edge and a relay a relay: the endpoints of the listeners, and the work beside them.

use std::{path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::{signal::unix::Signal, sync::watch, task::JoinSet};

use super::{
    Addresses, Endpoints, Node, Server, StartError, admin,
    data::{self, DataPlane},
    deadlines,
    edge::Edge,
    fleet, housekeeping,
    relay::Relay,
    reload::ReloadLoop,
    store_poll,
};
use crate::{
    config::{Config, Plane},
    deployment::Deployment,
};

/// A role of the service.
pub(super) trait Role: Send {
    /// The endpoints of a listener; none where the role has no such plane.
    fn endpoints(&self, plane: Plane) -> Option<Endpoints>;

    /// Starts the work that goes on until `stop`.
    fn start(&mut self, tasks: &mut JoinSet<()>, addresses: &Addresses, stop: &watch::Receiver<bool>);

    /// Waits for what has to be known before the first request.
    fn ready(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Writes down what is still in memory. All requests are answered.
    fn finish(&mut self);
}

/// A node, and what loads anew what changes.
struct ServingNode {
    node: Arc<Node>,
    reload: Option<ReloadLoop>,
}

impl Role for ServingNode {
    fn endpoints(&self, plane: Plane) -> Option<Endpoints> {
        let app = self.node.app();
        Some(match plane {
            Plane::Data => Endpoints::Data(DataPlane::of_node(app)),
            Plane::Admin => Endpoints::Others(admin::router(app)),
            Plane::Metrics => Endpoints::Others(data::metrics_router(app)),
        })
    }

    fn start(&mut self, tasks: &mut JoinSet<()>, addresses: &Addresses, stop: &watch::Receiver<bool>) {
        tasks.spawn(fleet::run(Arc::clone(&self.node), addresses.clone(), stop.clone()));
        if let Some(reload) = self.reload.take() {
            tasks.spawn(reload.run(stop.clone()));
        }
        for work in [deadlines::run, store_poll::run, housekeeping::run] {
            let (node, stopped) = (Arc::clone(&self.node), stop.clone());
            tasks.spawn_blocking(move || work(&node, &stopped));
        }
    }

    fn finish(&mut self) {
        housekeeping::finish(&self.node);
        fleet::leave(&self.node);
    }
}

impl Role for Edge {
    fn endpoints(&self, plane: Plane) -> Option<Endpoints> {
        match plane {
            Plane::Data => Some(Endpoints::Data(DataPlane::of_edge(self.core.clone()))),
            // Nothing can be administered here.
            Plane::Admin => None,
            Plane::Metrics => Some(Endpoints::Others(data::metrics_router_of_edge(self.core.clone()))),
        }
    }

    fn start(&mut self, tasks: &mut JoinSet<()>, _: &Addresses, stop: &watch::Receiver<bool>) {
        Edge::start(self, tasks, stop);
    }

    fn ready(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.first_contact())
    }

    fn finish(&mut self) {
        Edge::finish(self);
    }
}

impl Server {
    /// Loads a relay, and opens its ports: `docs/RELAY.md`.
    pub(crate) async fn start_relay(config: Config, config_path: PathBuf, hangup: Signal) -> Result<Self, StartError> {
        let loading = tokio::task::spawn_blocking(move || Relay::load(config, config_path, hangup));
        let relay = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Server::open(relay.core.clone(), Box::new(relay)).await
    }

    /// Loads an edge, and opens its ports: `docs/EDGES.md`.
    pub(crate) async fn start_edge(config: Config, config_path: PathBuf, hangup: Signal) -> Result<Self, StartError> {
        let loading = tokio::task::spawn_blocking(move || Edge::load(config, config_path, hangup));
        let edge = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Server::open(edge.core.clone(), Box::new(edge)).await
    }

    /// Loads everything, with `wait_for_source` once the key sources answer, and then opens the ports. The configuration is read
    /// again from `config_path` when something changes, and at every `hangup`.
    pub(crate) async fn start(
        deployment: Deployment,
        config_path: PathBuf,
        hangup: Signal,
        wait_for_source: bool,
    ) -> Result<Self, StartError> {
        let loading = tokio::task::spawn_blocking(move || Node::load(deployment, wait_for_source));
        let node = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let node = Arc::new(node);
        let reload = ReloadLoop::new(Arc::clone(&node), config_path, hangup);
        let core = node.core.clone();
        Server::open(core, Box::new(ServingNode { node, reload: Some(reload) })).await
    }
}
