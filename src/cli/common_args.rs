//! The options that the commands of administrators share: how to print, and whether to ask a server.

use std::io;

use clap::Args;
use serde::Serialize;

use super::{
    ConfigArgument, Failure,
    backend::{self, Backend},
    client::ServerArgument,
    output,
};

#[derive(Args)]
pub(super) struct CommonArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl CommonArgs {
    /// Opens the server that `--server` names; without it, the store and keyring that the configuration names.
    pub(super) fn open(&self, config: &ConfigArgument) -> Result<Box<dyn Backend>, Failure> {
        backend::open(config, &self.server)
    }

    /// Prints the result: as JSON, or as `people` prints it.
    pub(super) fn print<T: Serialize>(&self, result: &T, people: impl FnOnce(&T) -> io::Result<()>) -> io::Result<()> {
        if self.json { output::json(result) } else { people(result) }
    }
}
