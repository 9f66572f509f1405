//! `bulla serve`.

use std::process::ExitCode;

use clap::Args;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{ConfigArgument, Outcome};
use crate::{
    config::Listen,
    hardening,
    server::{Server, shutdown},
    telemetry::log,
};

/// Run the service: data plane, admin plane and metrics, until SIGINT or SIGTERM
#[derive(Args)]
pub(super) struct Serve {
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

impl Serve {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let mut deployment = config.open()?;
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
            let server = Server::start(deployment, config.config.clone(), hangup, self.wait_for_source).await?;
            server.serve(shutdown::on_signal(grace)?).await;
            Ok(ExitCode::SUCCESS)
        });
        // Does not wait for tasks that hang.
        runtime.shutdown_background();
        bulla::source::end_programs();
        served
    }
}

/// Handles SIGHUP from here on.
pub(super) fn hangup(runtime: &Runtime) -> std::io::Result<Signal> {
    let _inside = runtime.enter();
    signal(SignalKind::hangup())
}
