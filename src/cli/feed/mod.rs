//! `bulla feed`: the revocation feed for followers that ask no node.

mod publish;

use clap::Subcommand;

use super::{ConfigArgument, Outcome};

#[derive(Subcommand)]
pub(super) enum Feed {
    /// Write the feed as files that any file server, bucket or CDN can serve
    Publish(publish::Publish),
}

impl Feed {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Feed::Publish(command) => command.run(config),
        }
    }
}
