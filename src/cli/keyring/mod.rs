//! `bulla keyring`: create, show, check and change the keyring.

mod activate;
mod check;
mod end;
mod export;
mod init;
mod limit;
mod rewrap;
mod show;
mod stage;

use std::io;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};
use crate::{
    api::keyring::Changed,
    cli::output::{self, WARNING},
};

#[derive(Subcommand)]
pub(super) enum Keyring {
    /// Create the keyring that the configuration names, with one active version
    Init(init::Init),
    /// Show the key versions
    Show(show::Show),
    /// Check the document, its MAC, and that each version's sources yield the right key
    Check(check::Check),
    /// Add a version that every verifier opens with and nothing seals with yet
    Stage(stage::Stage),
    /// Seal with a version from now on, once every verifier has it
    Activate(activate::Activate),
    /// Permanently reject all API keys of a version whose master key is known to others
    Compromise(end::Compromise),
    /// Permanently reject all API keys of a version and delete its key material from the keyring
    Destroy(end::Destroy),
    /// Add or remove sources that hold the same master key
    Rewrap(rewrap::Rewrap),
    /// Show or set until when a version seals and verifies
    Limit(limit::Limit),
    /// Export one realm's keys to an edge, sealed to the edge's own key
    Export(export::Export),
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
            Keyring::Export(command) => command.run(config),
        }
    }
}

/// Prints what a change did.
fn print(changed: &Changed) -> io::Result<()> {
    output::fields(&[
        ("version", changed.version.to_string()),
        ("state", changed.state.to_string()),
        ("serial", changed.serial.to_string()),
    ])?;
    match &changed.warning {
        Some(warning) => output::line(format_args!("{WARNING}warning:{WARNING:#} {warning}")),
        None => Ok(()),
    }
}
