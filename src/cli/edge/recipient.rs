//! `bulla edge recipient`.

use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgument, Outcome};
use crate::{
    cli::{Failure, output},
    server::{
        StartError,
        edge::{EdgeError, read_edge_key},
    },
};

#[derive(Args)]
pub(in crate::cli) struct Recipient {}

impl Recipient {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_print()?;
        let deployment = config.open()?;
        let failed = |error: EdgeError| Failure::Start(StartError::Edge(error));
        let follow = deployment.config.follow.as_ref().ok_or(EdgeError::NoFollow).map_err(failed)?;
        output::line(read_edge_key(follow).map_err(failed)?.recipient())?;
        Ok(ExitCode::SUCCESS)
    }
}
