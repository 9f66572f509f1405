//! `bulla keys`: the API keys on record.

mod import;
mod import_arguments;
mod list;
mod migrate;
mod reroll;
mod reroll_secret;
mod show;
mod suspend;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// List the API keys on record, oldest first
    List(list::List),
    /// Show one API key on record
    Show(show::Show),
    /// Take an API key back until it is resumed
    Suspend(suspend::Suspend),
    /// End a suspension
    Resume(suspend::Suspend),
    /// Issue a new API key like this one, and revoke this one after a grace period
    Reroll(reroll::Reroll),
    /// Take in keys that were issued elsewhere, by their hashes: they verify unchanged
    Import(import::Import),
    /// Show how far imported keys are replaced by sealed ones, and retire those that are
    Migrate(migrate::Migrate),
    /// Draw a new secret half for an API key, whose sealed text stays as it is
    RerollSecret(reroll_secret::Reroll),
}

impl Keys {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Keys::List(command) => command.run(config),
            Keys::Show(command) => command.run(config),
            Keys::Suspend(command) => command.run(config, true),
            Keys::Resume(command) => command.run(config, false),
            Keys::Reroll(command) => command.run(config),
            Keys::Import(command) => command.run(config),
            Keys::Migrate(command) => command.run(config),
            Keys::RerollSecret(command) => command.run(config),
        }
    }
}
