//! What makes a node a node, an edge an edge and a relay a relay: the endpoints of the listeners, and the work beside
//! them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::{signal::unix::Signal, sync::watch, task::JoinSet};

use super::{
    Addresses, ConfigFile, Endpoints, Node, admin,
    data::{self, DataPlane},
    deadlines,
    edge::Edge,
    file_watch, fleet, housekeeping,
    reload::ReloadLoop,
    store_poll,
};
use crate::{
    config::Plane,
    deployment::{Deployment, DeploymentError},
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
pub(super) struct ServingNode {
    pub(super) node: Arc<Node>,
    pub(super) reload: Option<ReloadLoop>,
}

impl ServingNode {
    /// Loads a node; `wait` is as for [`Node::load`]. Its files are looked at before they are read: loading may take
    /// long, and what changes meanwhile is loaded once the node serves.
    pub(super) fn load(
        deployment: Deployment,
        mut config_file: ConfigFile,
        hangup: Signal,
        wait: bool,
    ) -> Result<Self, DeploymentError> {
        config_file.before = config_file.before.and(file_watch::read_at_start(&deployment.config));
        let node = Arc::new(Node::load(deployment, wait)?);
        let reload = ReloadLoop::new(Arc::clone(&node), config_file, hangup);
        Ok(ServingNode { node, reload: Some(reload) })
    }
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
