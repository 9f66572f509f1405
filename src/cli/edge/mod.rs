//! `bulla edge`: what an edge needs before it verifies.

mod caller;
mod init;
mod recipient;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};

#[derive(Subcommand)]
pub(super) enum Edge {
    /// Create the configuration and the key of an edge; print its recipient
    Init(Box<init::Init>),
    /// Print the recipient of this edge, for `bulla keyring export`
    Recipient(recipient::Recipient),
    /// Make a token with which a caller may introspect at an edge
    Caller(caller::Caller),
}

impl Edge {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Edge::Init(command) => command.run(),
            Edge::Recipient(command) => command.run(config),
            Edge::Caller(command) => command.run(),
        }
    }
}
