//! `bulla keys`: everything about API keys.

mod import;
mod import_arguments;
mod import_report;
mod imports;
mod list;
mod migrate;
mod reroll;
mod reroll_secret;
mod show;
mod suspend;

use clap::Subcommand;

use super::{ConfigArgument, Outcome, inspect, issue, reveal, revoke, verify};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// List the API keys on record, oldest first
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show an API key on record
    #[command(alias = "get")]
    Show(show::Show),
    /// Suspend an API key: it is rejected until it is resumed
    Suspend(suspend::Suspend),
    /// End the suspension of an API key
    Resume(suspend::Suspend),
    /// Replace an API key: issue a new one like it, and revoke the old one after a grace period
    Reroll(reroll::Reroll),
    /// Replace only the secret half of an API key, whose sealed text stays the same
    RerollSecret(reroll_secret::Reroll),
    /// Import keys of another system by their hashes, so that they verify unchanged
    Import(import::Import),
    /// Show the sets of imported keys, and remove one that nobody used
    Imports(imports::Imports),
    /// Show how many imported keys are replaced by sealed ones, and retire those
    Migrate(migrate::Migrate),
    // The commands of the top level, whose help is the documentation of their arguments.
    Issue(issue::Issue),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Revoke(revoke::Revoke),
    Reveal(reveal::Reveal),
}

impl Keys {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Keys::List(command) => command.run(config),
            Keys::Show(command) => command.run(config),
            Keys::Suspend(command) => command.suspend(config),
            Keys::Resume(command) => command.resume(config),
            Keys::Reroll(command) => command.run(config),
            Keys::RerollSecret(command) => command.run(config),
            Keys::Import(command) => command.run(config),
            Keys::Imports(command) => command.run(config),
            Keys::Migrate(command) => command.run(config),
            Keys::Issue(command) => command.run(config),
            Keys::Verify(command) => command.run(config),
            Keys::Inspect(command) => command.run(),
            Keys::Revoke(command) => command.run(config),
            Keys::Reveal(command) => command.run(config),
        }
    }
}
