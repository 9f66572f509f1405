//! `bulla keys reroll-secret`.

use std::process::ExitCode;

use bulla::ApiKey;
use clap::Args;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    action::reroll,
    api::reroll::{RerollSecret, RerolledSecret},
    cli::{ConfigArgument, Failure, Outcome, common_args::CommonArgs, id_argument::IdArgument, output},
};

#[derive(Args)]
#[command(after_help = "\
With the whole key the command prints the whole new key; with an id it prints the new ending, which replaces the last 51
characters of the key.")]
pub(in crate::cli) struct Reroll {
    #[command(flatten)]
    key: IdArgument,
    /// How long the old secret half remains valid; 0s ends it at once
    #[arg(long, value_name = "DURATION", default_value = reroll::GRACE)]
    grace: String,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    rerolled: RerolledSecret,
    /// The whole new key, if the whole old key was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

impl Reroll {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_show()?;
        let (text, backend) = (self.key.text()?, self.common.open(config)?);
        let id = backend.id_of(text.expose_secret())?;
        let rerolled = backend.reroll_secret(id, &RerollSecret { grace: Some(self.grace) })?;
        let until = rerolled.old_secret_until;
        let old = text.expose_secret().parse::<ApiKey>().ok().filter(ApiKey::has_secret);
        let api_key = old.map(|old| with_ending(&old, rerolled.ending.expose_secret()));
        let shown = self.common.print(&Shown { rerolled, api_key }, |shown| {
            output::object(shown)?;
            output::line("\nThe ending replaces the last 51 characters of the API key. It is shown only once.")
        });
        shown.map(|()| ExitCode::SUCCESS).map_err(|error| {
            Failure::Undone(format!(
                "the new secret half of {id} could not be shown ({error}), and the old one ends at {until}: draw another one \
                 with `bulla keys reroll-secret {id}`"
            ))
        })
    }
}

fn with_ending(old: &ApiKey, ending: &str) -> String {
    let kept = old.expose().len().saturating_sub(ending.len());
    format!("{}{ending}", &old.expose()[..kept])
}
