//! `bulla keyring rewrap`. The service has no endpoint for it.

use std::process::ExitCode;

use bulla::{keyring::KeyVersion, source::SourceUri};
use clap::Args;

use super::{ConfigArgument, Outcome, print};
use crate::{
    action::keyring::{self, Change},
    cli::{backend::Local, output, parsers},
};

#[derive(Args)]
pub(in crate::cli) struct Rewrap {
    /// The number of the version
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// A source to add: it holds the same master key, or wraps it
    #[arg(long, value_name = "URI", required_unless_present = "remove")]
    add: Vec<SourceUri>,
    /// A source to remove from the keyring
    #[arg(long, value_name = "URI")]
    remove: Vec<SourceUri>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Rewrap {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let rewrap = keyring::Rewrap { add: self.add, remove: self.remove };
        let changed = Local::open(config)?.change_keyring(&Change::Rewrap(self.version, rewrap))?;
        if self.json {
            output::json(&changed)?;
        } else {
            print(&changed)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
