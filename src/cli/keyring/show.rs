//! `bulla keyring show`.

use std::process::ExitCode;

use bulla::{KeyringDocument, feed::VerifyingKey};
use clap::Args;
use serde_json::Value;

use super::{ConfigArgument, Outcome};
use crate::{
    api::keyring::KeyringView,
    cli::{client::ServerArgument, output},
    store::SealCount,
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
            return print_view(&server.get("/v1/keyring")?, self.json);
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
    let view = serde_json::to_value(KeyringView::new(document, counts, feed)).map_err(std::io::Error::from)?;
    print_view(&view, json)
}

/// The same, wherever the keyring is.
fn print_view(view: &Value, json: bool) -> Outcome {
    if json {
        output::json(view)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::fields(&[
        ("keyring", output::text(view, "keyring_id")),
        ("serial", output::text(view, "serial")),
        ("feed public key", output::text(view, "feed_public_key")),
    ])?;
    output::line("")?;
    let rows: Vec<_> = view.get("versions").and_then(Value::as_array).into_iter().flatten().map(row).collect();
    let head = ["VERSION", "STATE", "SUITE", "CREATED", "SEAL UNTIL", "VERIFY UNTIL", "SEALED", "SOURCES"];
    output::table(&head, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(version: &Value) -> Vec<String> {
    // The budget is each realm's, so the busiest one tells.
    let sealed = version.get("sealed").and_then(Value::as_object).into_iter().flatten();
    let most = sealed.filter_map(|(_, count)| count.as_u64()).max().unwrap_or(0);
    let sealed = match version.get("seal_budget").and_then(Value::as_u64) {
        Some(budget) => format!("{most} of {budget}"),
        None => most.to_string(),
    };
    let time = |name: &str| output::or_dash(version.get(name).and_then(Value::as_str));
    vec![
        output::text(version, "version"),
        output::text(version, "state"),
        output::text(version, "suite"),
        output::text(version, "created_at"),
        time("seal_until"),
        time("verify_until"),
        sealed,
        output::text(version, "sources"),
    ]
}
