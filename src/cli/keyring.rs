//! `bulla keyring`: make, show and check the keyring.

use std::process::ExitCode;

use bulla::{KeyringDocument, KeyringId, MacKey, SourceRecord, SourceUri, Suite};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    ConfigArgument, Failure, Outcome,
    client::{Client, ServerArgument},
    init, output,
};
use crate::{
    clock,
    deployment::{Deployment, DeploymentError},
    keyring_view::KeyringView,
};

#[derive(Subcommand)]
pub(super) enum Keyring {
    /// Make the keyring that the configuration names, with one active version
    Init(KeyringInit),
    /// Show the key versions
    Show(Show),
    /// Check the document, its MAC, and that every version's source yields the right key
    Check(Check),
}

#[derive(Args)]
pub(super) struct KeyringInit {
    /// A key source that holds the first master key; several hold the same one
    #[arg(long, required = true, value_name = "URI", num_args = 1..)]
    source: Vec<SourceUri>,
    /// The suite that the version pins: aes-256-gcm or xaes-256-gcm
    #[arg(long, default_value_t = Suite::default())]
    suite: Suite,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Show {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

#[derive(Args)]
pub(super) struct Check {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Keyring {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Keyring::Init(command) => command.run(config),
            Keyring::Show(command) => command.run(config),
            Keyring::Check(command) => command.run(config),
        }
    }
}

impl KeyringInit {
    fn run(self, config: &ConfigArgument) -> Outcome {
        let deployment = config.open()?;
        let now = clock::now();
        let mut document = KeyringDocument::new(KeyringId::random().map_err(std::io::Error::other)?);
        let sources = self.source.into_iter().map(|uri| SourceRecord { uri, wrapped: None }).collect();
        let version = document.stage(self.suite, sources, &deployment.sources, now)?;
        document.activate(version, now)?;
        write_new(&deployment, &document)?;
        print(&document, self.json)
    }
}

impl Show {
    fn run(self, config: &ConfigArgument) -> Outcome {
        match &self.server.server {
            Some(url) => output::json(&Client::from_environment(url)?.get("/v1/keyring")?)?,
            None => return print(&config.open()?.document()?, self.json),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(self, config: &ConfigArgument) -> Outcome {
        #[derive(Serialize)]
        struct Checked {
            ok: bool,
            served: Vec<Served>,
        }
        #[derive(Serialize)]
        struct Served {
            version: u32,
            source: String,
            failed: Vec<String>,
        }
        let (_, keyring) = config.open()?.keyring()?;
        let served = keyring.served().iter().map(|served| Served {
            version: served.version.number(),
            source: served.source.to_string(),
            failed: served.failed.iter().map(ToString::to_string).collect(),
        });
        let checked = Checked { ok: true, served: served.collect() };
        if self.json {
            output::json(&checked)?;
        } else {
            let rows: Vec<_> = checked
                .served
                .iter()
                .map(|served| vec![served.version.to_string(), served.source.clone(), served.failed.join("; ")])
                .collect();
            output::table(&["VERSION", "SERVED BY", "FAILED BEFORE"], &rows)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(document: &KeyringDocument, json: bool) -> Outcome {
    let view = KeyringView::new(document);
    if json {
        output::json(&view)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::fields(&[("keyring", document.id().to_string()), ("serial", document.serial().to_string())])?;
    output::line("")?;
    let rows: Vec<_> = view
        .versions
        .iter()
        .map(|version| {
            vec![
                version.version.to_string(),
                version.state.to_string(),
                version.suite.to_string(),
                version.created_at.to_string(),
                output::or_dash(version.verify_until),
                version.key_check_value.clone(),
                version.sources.join(" "),
            ]
        })
        .collect();
    output::table(&["VERSION", "STATE", "SUITE", "CREATED", "VERIFY UNTIL", "CHECK VALUE", "SOURCES"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the document of a new keyring where the configuration says, and where none may be yet.
pub(super) fn write_new(deployment: &Deployment, document: &KeyringDocument) -> Result<(), Failure> {
    let mac_key = MacKey::open(&deployment.config.keyring.mac_source, &deployment.sources, document.id())?;
    let path = deployment.keyring_path()?;
    init::write_new(&path, document.render(&mac_key)?.as_bytes(), 0o644)
        .map_err(|error| DeploymentError::KeyringWrite { path, error })?;
    Ok(())
}
