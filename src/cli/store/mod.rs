//! `bulla store`: the database behind the service.

mod copy;
mod migrate;
mod server_arguments;
mod unmark;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};

#[derive(Subcommand)]
pub(super) enum Store {
    Migrate(migrate::Migrate),
    Copy(copy::Copy),
    Unmark(unmark::Unmark),
}

impl Store {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Store::Migrate(command) => command.run(config),
            Store::Copy(command) => command.run(config),
            Store::Unmark(command) => command.run(config),
        }
    }
}
