//! `bulla keyring export`.

use std::{path::PathBuf, process::ExitCode};

use bulla::{Realm, keyring::Recipient};
use clap::Args;

use super::{ConfigArgument, Outcome};
use crate::{
    cli::{Failure, backend, client::ServerArgument, output},
    deployment::write_new,
};

#[derive(Args)]
#[command(after_help = "\
The export is sealed to the edge, and of no use to anybody else. The edge can then verify keys of the realm, and attackers who
take the edge's key can make some: see docs/THREATS.md. Make it again when a version was staged.

Example:
  bulla keyring export --realm live --to bulla-edge-… --out live.export
  bulla keyring export --realm live --to bulla-edge-… --server https://bulla.example:8182")]
pub(in crate::cli) struct Export {
    /// The realm whose keys the edge is to verify
    #[arg(long)]
    realm: Realm,
    /// The edge's recipient, as `bulla edge recipient` prints it there
    #[arg(long, value_name = "RECIPIENT")]
    to: Recipient,
    /// The file to make; without it, the export is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgument,
}

impl Export {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        if self.out.is_none() {
            output::can_print()?;
        }
        let backend = backend::open(config, &self.server)?;
        if let Some(path) = self.out.as_ref().filter(|path| path.exists()) {
            return Err(Failure::Undone(format!(
                "{} exists, and nothing is overwritten: name another file",
                path.display()
            )));
        }
        let text = backend.export(self.realm, &self.to)?;
        match &self.out {
            Some(path) => {
                write_new(path, text.as_bytes(), 0o600)?;
                output::note(&format!("made {}: put it into the folder follow.exports of the edge", path.display()));
            }
            None => output::line(text.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
