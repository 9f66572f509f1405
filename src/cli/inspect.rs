//! `bulla inspect`: the parts of an API key that anyone can read.

use std::process::ExitCode;

use bulla::ApiKey;
use clap::Args;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    Outcome,
    api_key_argument::ApiKeyArgument,
    output::{self, ERROR},
};

/// Show the public parts of an API key; this needs no master key and proves nothing
#[derive(Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    key: ApiKeyArgument,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Inspected {
    ApiKey { well_formed: bool, api_key_id: String, realm: String, version: u32, has_secret: bool, characters: usize },
    Other { well_formed: bool, reason: &'static str },
}

impl Inspect {
    pub(super) fn run(self) -> Outcome {
        output::can_print()?;
        let text = self.key.read()?;
        let text = text.expose_secret();
        let parsed = text.parse::<ApiKey>();
        let inspected = match &parsed {
            Ok(key) => Inspected::ApiKey {
                well_formed: true,
                api_key_id: key.id().to_string(),
                realm: key.id().realm().to_string(),
                version: key.id().version(),
                has_secret: key.has_secret(),
                characters: text.len(),
            },
            Err(reason) => Inspected::Other { well_formed: false, reason: reason.code() },
        };
        match (&inspected, &parsed) {
            _ if self.json => output::json(&inspected)?,
            (Inspected::ApiKey { api_key_id, realm, version, has_secret, characters, .. }, _) => output::fields(&[
                ("id", api_key_id.clone()),
                ("realm", realm.clone()),
                ("key version", version.to_string()),
                ("secret half", if *has_secret { "yes" } else { "no" }.to_owned()),
                ("characters", characters.to_string()),
                ("checksum", "correct (this proves nothing; `bulla verify` does)".to_owned()),
            ])?,
            (Inspected::Other { .. }, Err(reason)) => {
                output::line(format_args!("{ERROR}not an API key{ERROR:#}  {reason}"))?
            }
            (Inspected::Other { .. }, Ok(_)) => {}
        }
        Ok(ExitCode::from(u8::from(parsed.is_err())))
    }
}
