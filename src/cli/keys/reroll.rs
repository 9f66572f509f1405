//! `bulla keys reroll`.

use std::process::ExitCode;

use bulla::Issuer;
use clap::Args;

use crate::{
    action::{Actor, issue::Issuing, reroll},
    api::reroll::Reroll as Request,
    cli::{ConfigArgument, Outcome, client::ServerArgument, id_argument::IdArgument, output, unseen},
    clock,
};

#[derive(Args)]
pub(in crate::cli) struct Reroll {
    #[command(flatten)]
    key: IdArgument,
    /// How long the old key stays good; 0s for not at all
    #[arg(long, value_name = "DURATION", default_value = reroll::GRACE)]
    grace: String,
    /// How long the new key lives, or `never` for no expiry; as long as the old one was to, if not said
    #[arg(long, value_name = "DURATION", conflicts_with = "expires_at")]
    ttl: Option<String>,
    /// When the new key expires, an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Why, for the ledger
    #[arg(long)]
    reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Reroll {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let how =
            Request { grace: Some(self.grace), expires_in: self.ttl, expires_at: self.expires_at, reason: self.reason };
        output::can_show()?;
        let id = self.key.read(config, &self.server)?;
        let rerolled = match self.server.admin()? {
            Some(server) => {
                let body = serde_json::to_value(&how).map_err(std::io::Error::from)?;
                server.post(&format!("/v1/api-keys/{id}/reroll"), &body)?
            }
            None => {
                let deployment = config.open()?;
                let store = deployment.store()?;
                let (document, keyring) = deployment.keyring(&*store)?;
                let peppers = deployment.peppers(&document)?;
                let peppers = peppers.as_ref();
                let (issuer, actor) = (Issuer::new(&keyring), Actor::command_line());
                let (config, now) = (&deployment.config, clock::now());
                let issuing = Issuing { issuer: &issuer, store: &*store, config, peppers, actor: &actor, now };
                serde_json::to_value(how.apply(id, &issuing)?).map_err(std::io::Error::from)?
            }
        };
        let shown = if self.json {
            output::json(&rerolled)
        } else {
            let told = "\nThe new API key is shown this once: hand it to its owner now.";
            output::object(&rerolled).and_then(|()| output::line(told))
        };
        match shown {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(unseen::revoke(config, &self.server, &output::text(&rerolled, "api_key_id"), &error)),
        }
    }
}
