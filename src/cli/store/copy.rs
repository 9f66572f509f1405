//! `bulla store copy`: moves a deployment's store into PostgreSQL.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::server_arguments::ServerOfStore;
use crate::{
    cli::{ConfigArgument, Failure, Outcome, output},
    config::StoreConfig,
    store,
};

/// Copy the store into an empty PostgreSQL database, and compare every row
///
/// Stop every bulla on the store before. An interrupted copy goes on where it was; until it is whole, no service works
/// on it. Then the source is marked as moved, and no bulla works on that one any more (`bulla store unmark`).
#[derive(Args)]
#[command(
    after_help = "Example:\n  bulla store copy --to postgres://bulla@db.example/keys --store-password file:store.password"
)]
pub(in crate::cli) struct Copy {
    /// The store to copy; by default the configuration's
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The database to copy it to: postgres://ROLE@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    server: ServerOfStore,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Copy {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let (from, folder) = match &self.from {
            None => {
                let deployment = config.open()?;
                (deployment.config.store, deployment.config.folder)
            }
            Some(url) => (StoreConfig::at(url), PathBuf::from(".")),
        };
        let to = self.server.store(&self.to, "--to")?;
        let from = store::open_source(&from, &folder)?;
        let to = store::open_target(&to, Path::new("."))?;
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {pos}/{len} rows  {eta} left") {
            bar.set_style(style);
        }
        let copied = store::copy(&*from, &*to, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let copied = copied.map_err(|error| Failure::Undone(error.to_string()))?;
        if self.json {
            output::json(&json!({"rows": copied.rows, "changed": copied.changed}))?;
        } else {
            output::fields(&[
                ("rows", copied.rows.to_string()),
                ("written now", copied.changed.to_string()),
                ("verified", "every row".to_owned()),
                ("source", "marked as moved: no bulla works on it any more".to_owned()),
            ])?;
            output::line(format!("Next: set store.url to {} in the configuration of every node.", self.to))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
