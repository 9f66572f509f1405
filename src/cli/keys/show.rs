//! `bulla keys show`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::{ConfigArgument, Outcome, common_args::CommonArgs, id_argument::IdArgument, output};

#[derive(Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    key: IdArgument,
    #[command(flatten)]
    common: CommonArgs,
}

impl Show {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_print()?;
        let backend = self.common.open(config)?;
        let shown = backend.show(self.key.read(&*backend)?)?;
        self.common.print(&shown, output::object)?;
        Ok(ExitCode::SUCCESS)
    }
}
