//! `bulla keyring`: make, show, check and change the keyring.

mod change;
mod check;
mod init;
mod show;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};

#[derive(Subcommand)]
pub(super) enum Keyring {
    /// Make the keyring that the configuration names, with one active version
    Init(init::Init),
    /// Show the key versions
    Show(show::Show),
    /// Check the document, its MAC, and that every version's source yields the right key
    Check(check::Check),
    /// Add a version: every verifier opens with it, nothing seals with it yet
    Stage(change::StageArguments),
    /// Make a version the one that seals, once every verifier has it
    Activate(change::ActivateArguments),
    /// Reject all API keys of a version for good, because its key is known to others
    Compromise(change::CompromiseArguments),
    /// Reject all API keys of a version for good, and forget what the keyring has of its key
    Destroy(change::DestroyArguments),
    /// Add or remove sources that hold the same master key
    Rewrap(change::RewrapArguments),
    /// Show or change until when a version seals and verifies
    Limit(change::LimitArguments),
}

impl Keyring {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Keyring::Init(command) => command.run(config),
            Keyring::Show(command) => command.run(config),
            Keyring::Check(command) => command.run(config),
            Keyring::Stage(command) => command.run(config),
            Keyring::Activate(command) => command.run(config),
            Keyring::Compromise(command) => command.run(config),
            Keyring::Destroy(command) => command.run(config),
            Keyring::Rewrap(command) => command.run(config),
            Keyring::Limit(command) => command.run(config),
        }
    }
}
