//! `bulla keyring show`.

use std::{io, process::ExitCode};

use clap::Args;

use super::{ConfigArgument, Outcome};
use crate::{
    api::keyring::{KeyringView, VersionView},
    cli::{common_args::CommonArgs, output},
};

/// Show the key versions
#[derive(Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    common: CommonArgs,
}

impl Show {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_print()?;
        self.common.print(&self.common.open(config)?.keyring()?, print)?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn print(keyring: &KeyringView) -> io::Result<()> {
    output::fields(&[
        ("keyring", keyring.keyring_id.clone()),
        ("serial", keyring.serial.to_string()),
        ("feed public key", keyring.feed_public_key.clone().unwrap_or_default()),
    ])?;
    output::line("")?;
    let rows: Vec<_> = keyring.versions.iter().map(row).collect();
    let head = ["VERSION", "STATE", "SUITE", "CREATED", "SEAL UNTIL", "VERIFY UNTIL", "SEALED", "SOURCES"];
    output::table(&head, &rows)
}

fn row(version: &VersionView) -> Vec<String> {
    // Each realm has the whole budget, so the busiest realm counts.
    let most = version.sealed.values().max().copied().unwrap_or(0);
    vec![
        version.version.to_string(),
        version.state.to_string(),
        version.suite.to_string(),
        version.created_at.to_string(),
        output::or_dash(version.seal_until),
        output::or_dash(version.verify_until),
        version.seal_budget.map_or_else(|| most.to_string(), |budget| format!("{most} of {budget}")),
        version.sources.join(" "),
    ]
}
