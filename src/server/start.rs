//! Starts the service in one of its roles: loads all that the role needs, and then opens the ports.

use std::{path::PathBuf, sync::Arc};

use tokio::signal::unix::Signal;

use super::{Node, Server, StartError, edge::Edge, relay::Relay, reload::ReloadLoop, role::ServingNode};
use crate::{config::Config, deployment::Deployment};

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

    /// Loads everything, with `wait_for_source` once the key sources answer, and then opens the ports. The
    /// configuration is read again from `config_path` when something changes, and at every `hangup`.
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
