//! Starts the service in one of its roles: loads all that the role needs, and then opens the ports.

use tokio::signal::unix::Signal;

use super::{ConfigFile, Server, StartError, edge::Edge, relay::Relay, role::ServingNode};
use crate::{config::Config, deployment::Deployment};

impl Server {
    /// Loads a relay, and opens its ports: `docs/RELAY.md`.
    pub(crate) async fn start_relay(
        config: Config,
        config_file: ConfigFile,
        hangup: Signal,
    ) -> Result<Self, StartError> {
        let loading = tokio::task::spawn_blocking(move || Relay::load(config, config_file.path, hangup));
        let relay = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Server::open(relay.core.clone(), Box::new(relay)).await
    }

    /// Loads an edge, and opens its ports: `docs/EDGES.md`.
    pub(crate) async fn start_edge(
        config: Config,
        config_file: ConfigFile,
        hangup: Signal,
    ) -> Result<Self, StartError> {
        let loading = tokio::task::spawn_blocking(move || Edge::load(config, config_file, hangup));
        let edge = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Server::open(edge.core.clone(), Box::new(edge)).await
    }

    /// Loads everything, with `wait_for_source` once the key sources answer, and then opens the ports. The
    /// configuration is read again from `config_file` when something changes, and at every `hangup`.
    pub(crate) async fn start(
        deployment: Deployment,
        config_file: ConfigFile,
        hangup: Signal,
        wait_for_source: bool,
    ) -> Result<Self, StartError> {
        let load = move || ServingNode::load(deployment, config_file, hangup, wait_for_source);
        let loading = tokio::task::spawn_blocking(load);
        let serving = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Server::open(serving.node.core.clone(), Box::new(serving)).await
    }
}
