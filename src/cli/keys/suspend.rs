//! `bulla keys suspend` and `bulla keys resume`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::{ConfigArgument, Outcome, common_args::CommonArgs, id_argument::IdArgument, output};

#[derive(Args)]
pub(in crate::cli) struct Suspend {
    #[command(flatten)]
    key: IdArgument,
    /// The reason, for the audit: one line of up to 200 characters
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

impl Suspend {
    pub(super) fn suspend(self, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        let suspended = backend.suspend(self.key.read(&*backend)?, self.reason)?;
        self.common.print(&suspended, output::object)?;
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn resume(self, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        let resumed = backend.resume(self.key.read(&*backend)?, self.reason)?;
        self.common.print(&resumed, output::object)?;
        Ok(ExitCode::SUCCESS)
    }
}
