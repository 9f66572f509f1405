//! `bulla keys show`.

use std::process::ExitCode;

use clap::Args;

use crate::{
    api::ledger::ApiKeyView,
    cli::{ConfigArgument, Failure, Outcome, client::ServerArgument, id_argument::IdArgument, output},
    clock,
};

#[derive(Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    key: IdArgument,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Show {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let id = self.key.read(config, &self.server)?;
        let key = match self.server.admin()? {
            Some(server) => server.get(&format!("/v1/api-keys/{id}"))?,
            None => {
                let entry = config.open()?.store()?.find(&id)?;
                let entry = entry.ok_or_else(|| Failure::Usage(format!("the ledger has no API key {id}")))?;
                serde_json::to_value(ApiKeyView::new(entry, clock::now())).map_err(std::io::Error::from)?
            }
        };
        if self.json {
            output::json(&key)?;
        } else {
            output::object(&key)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
