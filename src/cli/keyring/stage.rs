//! `bulla keyring stage`.

use std::process::ExitCode;

use bulla::{keyring::Suite, source::SourceUri};
use clap::Args;

use super::{ConfigArgument, Outcome, print};
use crate::{api::keyring, cli::common_args::CommonArgs};

#[derive(Args)]
#[command(
    after_help = "Example:\n  bulla keyring stage --source 'pkcs11:token=bulla;object=master-2?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin'"
)]
pub(in crate::cli) struct Stage {
    /// A key source that holds the new master key; several sources hold the same key
    #[arg(long, required = true, value_name = "URI", num_args = 1..)]
    source: Vec<SourceUri>,
    /// The suite of the version: aes-256-gcm or xaes-256-gcm
    #[arg(long, default_value_t = Suite::default())]
    suite: Suite,
    #[command(flatten)]
    common: CommonArgs,
}

impl Stage {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let stage = keyring::Stage { sources: self.source, suite: self.suite };
        self.common.print(&self.common.open(config)?.stage(stage)?, print)?;
        Ok(ExitCode::SUCCESS)
    }
}
