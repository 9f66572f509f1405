//! `bulla keyring activate`.

use std::process::ExitCode;

use bulla::keyring::KeyVersion;
use clap::Args;

use super::{ConfigArgument, Outcome, print};
use crate::{
    api::keyring,
    cli::{common_args::CommonArgs, parsers},
};

#[derive(Args)]
pub(in crate::cli) struct Activate {
    /// The number of a staged version; with --rollback, of a deactivated one
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// Go back to a deactivated version
    #[arg(long)]
    rollback: bool,
    /// Activate a version that was staged less than a refresh interval ago: verifiers that have not loaded it yet
    /// reject its API keys until they have
    #[arg(long)]
    force: bool,
    /// Refuse also while a node or follower in `bulla fleet` has not loaded the version, and name them; without this
    /// option the command warns
    #[arg(long, conflicts_with = "force")]
    require_loaded: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl Activate {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let how = keyring::Activate { rollback: self.rollback, require_loaded: self.require_loaded, force: self.force };
        self.common.print(&self.common.open(config)?.activate(self.version, how)?, print)?;
        Ok(ExitCode::SUCCESS)
    }
}
