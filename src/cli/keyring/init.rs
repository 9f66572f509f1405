//! `bulla keyring init`.

use std::{io, process::ExitCode};

use bulla::{
    keyring::{KeyringDocument, KeyringId, Suite},
    source::SourceUri,
};
use clap::Args;

use super::{ConfigArgument, Outcome, show};
use crate::{
    api::keyring::{KeyringView, Stage},
    cli::output,
    clock,
};

/// Create the keyring that the configuration names, with one active version
#[derive(Args)]
pub(in crate::cli) struct Init {
    /// A key source that holds the first master key; several sources hold the same key
    #[arg(long, required = true, value_name = "URI", num_args = 1..)]
    source: Vec<SourceUri>,
    /// The suite of the version: aes-256-gcm or xaes-256-gcm
    #[arg(long, default_value_t = Suite::default())]
    suite: Suite,
    /// Create it even if the store knows another keyring, whose API keys become permanently invalid
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Init {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let deployment = config.open()?;
        if !self.force {
            deployment.refuse_second_keyring()?;
        }
        let now = clock::now();
        let mut document = KeyringDocument::new(KeyringId::random().map_err(io::Error::other)?);
        let stage = Stage { sources: self.source, suite: self.suite };
        let version = stage.apply(&mut document, &deployment.sources, now)?;
        // The keys of other purposes may be made later: the start compares them as well.
        let _not_compared = deployment.refuse_shared_key(&document, version)?;
        document.activate(version, clock::seconds(now))?;
        deployment.write_new_keyring(&document)?;
        for warning in stage.remarks(version, &document, &deployment.sources) {
            output::note(&warning);
        }
        let feed = deployment.feed_key()?.map(|key| key.verifying_key());
        let shown = KeyringView::new(&document, &[], feed);
        if self.json {
            output::json(&shown)?;
        } else {
            show::print(&shown)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
