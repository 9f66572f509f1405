//! `bulla store unmark`: takes a store into use again that `bulla store copy` marked as moved.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::json;

use super::server_arguments::ServerOfStore;
use crate::{
    action::Actor,
    cli::{ConfigArgument, Outcome, confirm::Confirmation, output},
    clock, store,
};

/// Take a store into use again that `bulla store copy` moved
///
/// For a copy that was a trial, or that is abandoned. Stop every bulla on the copy before, and drop it: what was done
/// there, revocations too, is not in this store.
#[derive(Args)]
pub(in crate::cli) struct Unmark {
    /// The store that moved: sqlite:PATH or postgres://ROLE@HOST/DATABASE; by default the configuration's
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    #[command(flatten)]
    server: ServerOfStore,
    #[command(flatten)]
    confirmation: Confirmation,
}

impl Unmark {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let (config, folder) = match self.store {
            None => {
                let deployment = config.open()?;
                (deployment.config.store, deployment.config.folder)
            }
            Some(url) => (self.server.store(&url, "--store")?, PathBuf::from(".")),
        };
        let store = store::open_source(&config, &folder)?;
        let Some(moved) = store.as_source().moved()? else {
            output::line("The store is in use: it has no mark that it moved.")?;
            return Ok(ExitCode::SUCCESS);
        };
        let consequences = format!(
            "The store moved to {} at {}. What was done there since is not in this one: a key that was revoked there is accepted \
             here. Stop every bulla on the copy first.",
            moved.to, moved.at
        );
        self.confirmation.ask(&consequences, "unmark")?;
        let detail = json!({"moved_to": moved.to, "moved_at": moved.at.as_second()});
        store::unmark(&*store, &Actor::command_line().record(clock::now(), "store.unmark", None, detail))?;
        output::line("The store is in use again. Next: drop the schema `bulla` of the copy.")?;
        Ok(ExitCode::SUCCESS)
    }
}
