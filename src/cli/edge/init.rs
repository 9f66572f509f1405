//! `bulla edge init`.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bulla::{
    Realm,
    feed::{HttpSource, SourceAccess, VerifyingKey, static_feed::PublishedSource},
    keyring::{EdgeKey, KeyringId},
};
use clap::Args;
use serde::Serialize;

use super::Outcome;
use crate::{
    cli::{Failure, init::create_folder, output},
    config::{Config, EDGE},
    deployment::{DeploymentError, write_new},
};

const CONFIG: &str = "bulla.toml";
const KEY: &str = "edge.key";
const EXPORTS: &str = "exports";

/// Create the configuration and the key of an edge; print its recipient
///
/// Overwrites nothing. `bulla keyring show` prints keyring id and feed public key where the keyring is.
#[derive(Args)]
pub(in crate::cli) struct Init {
    /// The folder to create them in
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// A node or relay whose feed the edge follows (repeatable)
    #[arg(long, required = true, value_name = "URL", value_delimiter = ',')]
    follow: Vec<String>,
    /// The id of the keyring
    #[arg(long, value_name = "ID")]
    keyring_id: KeyringId,
    /// The public key of the feed
    #[arg(long, value_name = "KEY")]
    feed_key: VerifyingKey,
    /// A realm that the edge verifies (repeatable)
    #[arg(long, required = true)]
    realm: Vec<Realm>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Initialized {
    config: PathBuf,
    key: PathBuf,
    recipient: String,
}

impl Init {
    pub(super) fn run(self) -> Outcome {
        self.check_sources()?;
        create_folder(&self.dir)?;
        let [config, key, exports] = [CONFIG, KEY, EXPORTS].map(|name| self.dir.join(name));
        // Checks all names first, so that a refusal leaves nothing half made.
        for path in [&config, &key] {
            if path.exists() {
                let told = format!("{} exists, and init overwrites nothing: name another folder", path.display());
                return Err(Failure::Undone(told));
            }
        }
        let edge_key = EdgeKey::generate().map_err(DeploymentError::from)?;
        let named =
            |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        write_new(&key, edge_key.to_text().as_bytes(), 0o600).map_err(|error| named(error, &key))?;
        write_new(&config, self.config().as_bytes(), 0o644).map_err(|error| named(error, &config))?;
        create_folder(&exports)?;
        Config::load_file(&config).map_err(DeploymentError::from)?;
        let made = Initialized { config, key, recipient: edge_key.recipient().to_string() };
        if self.json {
            output::json(&made)?
        } else {
            self.show(&made)?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses what an edge could not follow, before anything is written.
    fn check_sources(&self) -> Result<(), Failure> {
        for address in &self.follow {
            let checked = if address.starts_with("s3:") {
                Ok(())
            } else if SourceAccess::is_published(address) {
                PublishedSource::new(address, self.keyring_id, self.feed_key).map(drop)
            } else {
                // The address alone counts here: nothing is asked.
                HttpSource::with_token(address, "none").map(drop)
            };
            checked.map_err(|error| Failure::Usage(format!("--follow: {error}")))?;
        }
        Ok(())
    }

    fn config(&self) -> String {
        let quoted = |all: Vec<String>| all.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        let realms = || self.realm.iter().map(ToString::to_string);
        EDGE.replace("{sources}", &quoted(self.follow.clone()))
            .replace("{keyring_id}", &self.keyring_id.to_string())
            .replace("{public_key}", &self.feed_key.to_string())
            .replace("{realms}", &realms().map(|realm| format!("[realms.{realm}]\n")).collect::<String>())
            .replace("{default_realms}", &quoted(realms().collect()))
    }

    fn show(&self, made: &Initialized) -> io::Result<()> {
        let shown = |path: &Path| path.display().to_string();
        output::fields(&[
            ("config", shown(&made.config)),
            ("edge key", format!("{} (it stays on this machine)", shown(&made.key))),
            ("recipient", made.recipient.clone()),
        ])?;
        output::line("\nNext, where the keyring is, for each realm, and put the file into exports/ here:")?;
        for realm in &self.realm {
            output::line(format_args!(
                "  bulla keyring export --realm {realm} --to {} --out {realm}.export",
                made.recipient
            ))?;
        }
        output::line(format_args!(
            "Then put an API key of the realm `bulla` with the scope {} into {}, mode 0600, and:\n  bulla serve --role verifier \
             --config {}",
            self.feed_scope(),
            shown(&self.dir.join("feed-api.key")),
            shown(&made.config)
        ))
    }

    /// The scopes that the edge can follow the feed with.
    fn feed_scope(&self) -> String {
        match &self.realm[..] {
            [realm] => format!("`feed` (or `feed:{realm}`, with `realm = \"{realm}\"` in [follow])"),
            _ => "`feed`".to_owned(),
        }
    }
}
