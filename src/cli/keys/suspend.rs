//! `bulla keys suspend` and `bulla keys resume`.

use std::process::ExitCode;

use bulla::ApiKeyId;
use clap::Args;
use serde_json::json;

use crate::{
    action::{
        Actor,
        take_back::{self, TakeBack},
    },
    cli::{ConfigArgument, Outcome, client::ServerArgument, output},
    clock,
};

#[derive(Args)]
pub(in crate::cli) struct Suspend {
    /// The API-key id, the public beginning of a key
    id: ApiKeyId,
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
        let taken = match self.server.admin()? {
            Some(server) => {
                let action = if suspend { "suspend" } else { "resume" };
                let path = format!("/v1/api-keys/{}/{action}", self.id);
                server.post(&path, &json!({"reason": self.reason}))?
            }
            None => {
                let store = config.open()?.store()?;
                let (actor, reason) = (Actor::command_line(), take_back::reason(self.reason)?);
                let take_back = TakeBack { store: &*store, actor: &actor, now: clock::now(), reason };
                let taken = if suspend { take_back.suspend(self.id)? } else { take_back.resume(self.id)? };
                serde_json::to_value(taken).map_err(std::io::Error::from)?
            }
        };
        if self.json {
            output::json(&taken)?;
        } else {
            output::object(&taken)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
