//! `bulla keyring show`.

use std::process::ExitCode;

use bulla::{KeyringDocument, feed::VerifyingKey};
use clap::Args;

use super::{ConfigArgument, Outcome};
use crate::{
    cli::{client::ServerArgument, output},
    store::SealCount,
    view::keyring::{KeyringView, VersionView},
};

/// Show the key versions.
#[derive(Args)]
pub(in crate::cli) struct Show {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Show {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        if let Some(server) = self.server.admin()? {
            output::json(&server.get("/v1/keyring")?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let deployment = config.open()?;
        let store = deployment.store()?;
        let feed = deployment.feed_key()?.map(|key| key.verifying_key());
        print(&deployment.document(&*store)?, &store.seal_counts()?, feed, self.json)
    }
}

pub(super) fn print(
    document: &KeyringDocument,
    counts: &[SealCount],
    feed: Option<VerifyingKey>,
    json: bool,
) -> Outcome {
    let view = KeyringView::new(document, counts, feed);
    if json {
        output::json(&view)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::fields(&[
        ("keyring", document.id().to_string()),
        ("serial", document.serial().to_string()),
        ("feed public key", feed.map(|key| key.to_string()).unwrap_or_default()),
    ])?;
    output::line("")?;
    let rows: Vec<_> = view.versions.iter().map(row).collect();
    output::table(&["VERSION", "STATE", "SUITE", "CREATED", "VERIFY UNTIL", "SEALED", "SOURCES"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(version: &VersionView) -> Vec<String> {
    // The budget is each realm's, so the busiest one tells.
    let most = version.sealed.values().max().copied().unwrap_or(0);
    let sealed = match version.seal_budget {
        Some(budget) => format!("{most} of {budget}"),
        None => most.to_string(),
    };
    vec![
        version.version.to_string(),
        version.state.to_string(),
        version.suite.to_string(),
        version.created_at.to_string(),
        output::or_dash(version.verify_until),
        sealed,
        version.sources.join(" "),
    ]
}
