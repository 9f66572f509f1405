//! `bulla serve`.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use signal_hook::consts::SIGXCPU;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::{ConfigArgument, Outcome};
use crate::{
    config::Listen,
    deployment::{Deployment, DeploymentError},
    hardening,
    server::Server,
    telemetry::log,
};

/// Run the service: data plane, admin plane and metrics, until SIGINT or SIGTERM.
#[derive(Args)]
pub(super) struct Serve {
    /// Where the data plane listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    data_listen: Option<Listen>,
    /// Where the admin plane listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<Listen>,
    /// Wait for key sources that do not answer, instead of ending
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
        // Before anything that takes time: a SIGHUP that nobody takes would end the process.
        let hangup = hangup(&runtime)?;
        if self.wait_for_source {
            wait_for_sources(&deployment)?;
        }
        runtime.block_on(async {
            let server = Server::start(deployment, config.config.clone(), hangup).await?;
            server.serve(stop_on_signal()?).await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// SIGHUP, taken from here on.
pub(super) fn hangup(runtime: &Runtime) -> std::io::Result<Signal> {
    let _inside = runtime.enter();
    signal(SignalKind::hangup())
}

/// Returns once every version's source answers; what waiting does not mend is an error at once.
fn wait_for_sources(deployment: &Deployment) -> Result<(), DeploymentError> {
    const MOST: Duration = Duration::from_secs(30);
    let store = deployment.store()?;
    let mut wait = Duration::from_secs(1);
    loop {
        let asked = deployment.keyring(&*store).and_then(|(document, _)| deployment.peppers(&document));
        match asked {
            Err(DeploymentError::Keyring(error)) if error.is_unreachable() => {
                tracing::warn!(%error, retry_in = ?wait, "waiting for a key source");
                std::thread::sleep(wait);
                wait = (wait * 2).min(MOST);
            }
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
    }
}

/// Turns true at the first SIGINT or SIGTERM, and where a limit on the time of the processor is reached, which would end the
/// process without a word.
pub(super) fn stop_on_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut out_of_time = signal(SignalKind::from_raw(SIGXCPU))?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = out_of_time.recv() => {
                tracing::error!("the limit on the time of the processor is reached (`ulimit -t`, LimitCPU=): a service has none");
            }
        }
        tracing::info!("stopping");
        // Nobody listens any more when the server has ended by itself.
        let _ended = stop.send(true);
    });
    Ok(stopped)
}
