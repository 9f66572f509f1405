//! `bulla keys suspend` and `bulla keys resume`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::{
    action::{
        Actor,
        take_back::{self, TakeBack},
    },
    cli::{ConfigArgument, Outcome, client::ServerArgument, id_argument::IdArgument, output},
    clock,
};

#[derive(Args)]
pub(in crate::cli) struct Suspend {
    #[command(flatten)]
    key: IdArgument,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Suspend {
    pub(super) fn run(self, config: &ConfigArgument, suspend: bool) -> Outcome {
        let id = self.key.read(config, &self.server)?;
        let taken = match self.server.admin()? {
            Some(server) => {
                let action = if suspend { "suspend" } else { "resume" };
                let path = format!("/v1/api-keys/{id}/{action}");
                server.post(&path, &json!({"reason": self.reason}))?
            }
            None => {
                let store = config.open()?.store()?;
                let (actor, reason) = (Actor::command_line(), take_back::reason(self.reason)?);
                let take_back = TakeBack { store: &*store, actor: &actor, now: clock::now(), reason };
                let taken = if suspend { take_back.suspend(id)? } else { take_back.resume(id)? };
                serde_json::to_value(taken).map_err(std::io::Error::from)?
            }
        };
        if self.json {
            output::json(&taken)?;
        } else {
            output::object(&output::yes_or_no(&taken, "on_record"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
