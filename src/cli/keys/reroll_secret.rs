//! `bulla keys reroll-secret`.

use std::process::ExitCode;

use bulla::ApiKey;
use clap::Args;
use serde_json::Value;

use crate::{
    action::{Actor, reroll},
    api::reroll::RerollSecret,
    cli::{
        ConfigArgument, Failure, Outcome,
        client::ServerArgument,
        id_argument::{self, IdArgument},
        output,
    },
    clock,
};

#[derive(Args)]
pub(in crate::cli) struct Reroll {
    #[command(flatten)]
    key: IdArgument,
    /// How long the old secret half stays good; 0s for not at all
    #[arg(long, value_name = "DURATION", default_value = reroll::GRACE)]
    grace: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Reroll {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_show()?;
        let text = self.key.text()?;
        let (key, id) = (text.parse::<ApiKey>().ok(), id_argument::find(&text, config, &self.server)?);
        let how = RerollSecret { grace: Some(self.grace.clone()) };
        let mut rerolled = match self.server.admin()? {
            Some(server) => {
                let body = serde_json::to_value(&how).map_err(std::io::Error::from)?;
                server.post(&format!("/v1/api-keys/{id}/reroll-secret"), &body)?
            }
            None => {
                let deployment = config.open()?;
                let store = deployment.store()?;
                let peppers = deployment.peppers(&deployment.document(&*store)?)?;
                let with = (&deployment.config, peppers.as_ref());
                let rerolled = how.apply(id, &*store, with, &Actor::command_line(), clock::now())?;
                serde_json::to_value(rerolled).map_err(std::io::Error::from)?
            }
        };
        let ending = rerolled.get("ending").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let (Some(key), Some(fields)) = (key.filter(ApiKey::has_secret), rerolled.as_object_mut()) {
            let kept = key.expose().len().saturating_sub(ending.len());
            fields.insert("api_key".to_owned(), format!("{}{ending}", &key.expose()[..kept]).into());
        }
        let shown = if self.json {
            output::json(&rerolled)
        } else {
            let told = "\nThe ending takes the place of the API key's last 51 characters. It is shown this once.";
            output::object(&rerolled).and_then(|()| output::line(told))
        };
        shown.map(|()| ExitCode::SUCCESS).map_err(|error| {
            let until = output::text(&rerolled, "old_secret_until");
            Failure::Usage(format!(
                "the new secret half of {id} could not be shown ({error}), and the old one ends at {until}: draw another one \
                 with `bulla keys reroll-secret {id}`"
            ))
        })
    }
}
