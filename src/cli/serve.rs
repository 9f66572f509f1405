//! `bulla serve`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{ConfigArgument, Failure, Outcome};
use crate::{
    config::Listen,
    deployment::Deployment,
    hardening,
    server::{ConfigFile, Server, shutdown},
    telemetry::log,
};

/// Run the service: data plane, admin plane and metrics, until SIGINT or SIGTERM
#[derive(Args)]
pub(super) struct Serve {
    /// What this process is
    #[arg(long, value_enum, default_value_t = Role::Node)]
    role: Role,
    /// The nodes or relays whose feed a verifier follows, instead of follow.sources
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    follow: Vec<String>,
    /// Where the data plane listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    data_listen: Option<Listen>,
    /// Where the admin plane listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<Listen>,
    /// Wait for key sources that do not answer, instead of exiting
    #[arg(long)]
    wait_for_source: bool,
}

/// The roles of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Everything, on a store and a keyring
    Node,
    /// An edge: it verifies by exported keys and a feed, without a store
    Verifier,
    /// A relay: it fans the feed of nodes out to many followers, without any key that signs or verifies
    Relay,
}

impl Serve {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let config_file = ConfigFile::look(&config.config);
        let mut deployment = config.open()?;
        self.check_role(&mut deployment)?;
        if let Some(listen) = self.data_listen {
            deployment.config.data.listen = listen;
        }
        if let Some(listen) = self.admin_listen {
            deployment.config.admin.listen = listen;
        }
        deployment.recheck()?;
        let _last_lines = log::start(&deployment.config.log)?;
        hardening::harden();
        let runtime = Builder::new_multi_thread().enable_all().on_thread_park(hardening::forget_registers).build()?;
        // Before anything that takes time: without a handler a SIGHUP ends the process.
        let hangup = hangup(&runtime)?;
        let grace = deployment.config.server.shutdown_grace.0;
        let served = runtime.block_on(async {
            // Before the start, which may wait for a source: nothing else would end its programs, and a container's
            // first process has no default action.
            let stop = shutdown::on_signal(grace)?;
            let mut stopped = stop.clone();
            let starting = async {
                match self.role {
                    Role::Node => Server::start(deployment, config_file, hangup, self.wait_for_source).await,
                    Role::Verifier => Server::start_edge(deployment.config, config_file, hangup).await,
                    Role::Relay => Server::start_relay(deployment.config, config_file, hangup).await,
                }
            };
            tokio::select! {
                server = starting => server?.serve(stop).await,
                _ = stopped.wait_for(|stop| *stop) => tracing::info!("stopped before it served"),
            }
            Ok(ExitCode::SUCCESS)
        });
        // Does not wait for tasks that hang.
        runtime.shutdown_background();
        bulla::source::end_programs();
        served
    }
}

impl Serve {
    /// Refuses a role that the configuration is not for, and names its sources.
    fn check_role(&self, deployment: &mut Deployment) -> Result<(), Failure> {
        let told = match (self.role, &mut deployment.config.follow) {
            (Role::Node, None) if self.follow.is_empty() => return Ok(()),
            (Role::Node, None) => "--follow is for --role verifier and --role relay: a node reads its store",
            (Role::Node, Some(_)) => {
                "this is the configuration of an edge or a relay, because it has [follow]: add --role verifier or --role relay"
            }
            (Role::Verifier | Role::Relay, None) => {
                "this is the configuration of a node, because it has no [follow]: `bulla edge init` makes that of an edge"
            }
            (Role::Verifier | Role::Relay, Some(follow)) => {
                if !self.follow.is_empty() {
                    follow.sources.clone_from(&self.follow);
                }
                return Ok(());
            }
        };
        Err(Failure::Undone(told.to_owned()))
    }
}

/// Handles SIGHUP from here on.
pub(super) fn hangup(runtime: &Runtime) -> std::io::Result<Signal> {
    let _inside = runtime.enter();
    signal(SignalKind::hangup())
}
