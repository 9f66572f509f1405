//! `bulla store`: the database behind the service.

mod migrate;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};

#[derive(Subcommand)]
pub(super) enum Store {
    Migrate(migrate::Migrate),
}

impl Store {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Store::Migrate(command) => command.run(config),
        }
    }
}
