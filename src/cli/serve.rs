//! `bulla serve`.

use std::process::ExitCode;

use clap::Args;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{ConfigArgument, Outcome};
use crate::{config::Listen, server::Server, telemetry::log};

/// Run the service: data plane, admin plane and metrics, until SIGINT or SIGTERM.
#[derive(Args)]
pub(super) struct Serve {
    /// Where the data plane listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    data_listen: Option<Listen>,
    /// Where the admin plane listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<Listen>,
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
        log::start(&deployment.config.log);
        Runtime::new()?.block_on(async {
            let server = Server::start(deployment).await?;
            server.serve(stop_on_signal()?).await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Turns true at the first SIGINT or SIGTERM.
pub(super) fn stop_on_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        // Nobody listens any more when the server has ended by itself.
        let _ended = stop.send(true);
    });
    Ok(stopped)
}
