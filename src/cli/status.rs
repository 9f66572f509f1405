//! `bulla status`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{
    ConfigArgument, Outcome,
    local_service::{self, LocalService},
    output::{self, ERROR, SUCCESS, WARNING},
};
use crate::{
    config::{DataConfig, Listen},
    input::text::shown,
};

const NOT_READY: u8 = 1;

/// Ask the service on this machine whether it is ready: exit 0 ready, 1 not ready
#[derive(Args)]
#[command(
    long_about = "Ask the service on this machine whether it is ready: exit 0 ready, 1 not ready or no answer within 2 s\n\n\
        It asks /readyz at the address that the configuration gives the data plane, sends no credential, and checks no \
        certificate. It prints what is degraded, which does not change the exit code: keys are verified all the same.",
    after_help = "Examples:\n  bulla status\n  HEALTHCHECK CMD [\"bulla\", \"status\", \"--alive\"]"
)]
pub(super) struct Status {
    /// Where the data plane listens, if not where the configuration says: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    data_listen: Option<Listen>,
    /// Ask only whether it serves at all (/healthz): one that is not ready yet gets well without a restart
    #[arg(long)]
    alive: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let mut data = config.open()?.config.data;
        if let Some(listen) = &self.data_listen {
            data.listen = listen.clone();
        }
        let ready = if self.alive { self.tell_alive(&data)? } else { self.tell_ready(&data)? };
        Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) })
    }

    fn tell_alive(&self, data: &DataConfig) -> std::io::Result<bool> {
        let alive = local_service::is_alive(data);
        if self.json {
            output::json(&json!({ "alive": alive }))?;
        } else if alive {
            output::line(format_args!("{SUCCESS}alive{SUCCESS:#}     {}", data.listen))?;
        } else {
            output::line(format_args!("{ERROR}not alive{ERROR:#} no service answers at {}", data.listen))?;
        }
        Ok(alive)
    }

    fn tell_ready(&self, data: &DataConfig) -> std::io::Result<bool> {
        let ready = match local_service::ask(data, None) {
            LocalService::Ready(ready) => ready,
            asked => {
                let who =
                    if matches!(asked, LocalService::Nobody) { "no service" } else { "another program than bulla" };
                let why = format!("{who} answers at {}", data.listen);
                if self.json {
                    output::json(&json!({ "ready": false, "error": why }))?;
                } else {
                    output::line(format_args!("{ERROR}not ready{ERROR:#} {why}"))?;
                }
                return Ok(false);
            }
        };
        if self.json {
            output::json(&ready)?;
            return Ok(ready.ready);
        }
        if ready.ready {
            output::line(format_args!("{SUCCESS}ready{SUCCESS:#}     {}", data.listen))?;
        } else {
            output::line(format_args!("{ERROR}not ready{ERROR:#} {} verifies no key", data.listen))?;
        }
        for failing in &ready.degraded {
            let (what, detail) = (shown(&failing.what), shown(&failing.detail));
            output::line(format_args!(
                "{WARNING}degraded{WARNING:#}  `{what}` since {}: {detail}",
                shown(&failing.since)
            ))?;
        }
        Ok(ready.ready)
    }
}
