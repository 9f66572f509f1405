//! `bulla init`: a deployment in a folder.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    Realm,
    keyring::{KeyringDocument, KeyringId, SourceRecord, Suite},
    source::SourceUri,
};
use clap::Args;
use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Failure, Outcome,
    backend::{Backend, Local},
    output,
};
use crate::{
    api::issue::{NEVER, NewApiKey},
    clock,
    config::{Config, DEFAULT, StoreUrl},
    deployment::{Deployment, write_new},
    scope::Scope,
    store::{self, Store},
};

const MASTER_FILE: &str = "master-1.key";
const MAC_FILE: &str = "keyring-mac.key";
const FEED_FILE: &str = "feed-signing.key";
const PEPPER_FILE: &str = "pepper-1.key";
/// The store in the default configuration.
const SQLITE: &str = "url = \"sqlite:bulla.db\"";
/// The file that gets the first admin API key if it cannot be shown.
const ADMIN_KEY_FILE: &str = "admin-api.key";

/// Create a configuration, a keyring and a store; print the first admin API key
///
/// Overwrites nothing.
#[derive(Args)]
pub(super) struct Init {
    /// The folder to create them in
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// A PostgreSQL database for the store: postgres://ROLE@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Where the role's password is: file:PATH (from DIR), env:NAME or credential:NAME
    #[arg(long, value_name = "WHERE", requires = "store")]
    store_password: Option<String>,
    /// The authority that issues the database server's certificate
    #[arg(long, value_name = "FILE", requires = "store")]
    store_ca: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Initialized {
    config: PathBuf,
    keyring: PathBuf,
    store: String,
    admin_api_key: String,
}

/// A new deployment, and its first administrator's API key.
pub(super) struct NewDeployment {
    pub(super) config: PathBuf,
    pub(super) admin_api_key: SecretString,
}

impl Init {
    pub(super) fn run(self) -> Outcome {
        output::can_show()?;
        let text = self.configuration()?;
        let in_environment = Config::check_environment(&self.dir.join("bulla.toml"), &text);
        in_environment.map_err(crate::deployment::DeploymentError::from)?;
        let new = create(&self.dir, &text)?;
        let made = Initialized {
            keyring: self.dir.join("keyring.toml"),
            store: self.store.clone().unwrap_or_else(|| self.dir.join("bulla.db").display().to_string()),
            config: new.config,
            admin_api_key: new.admin_api_key.expose_secret().to_owned(),
        };
        match self.show(&made) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(self.save(&made, &error)),
        }
    }

    /// The configuration, with the store that was named.
    fn configuration(&self) -> Result<String, Failure> {
        let Some(url) = &self.store else { return Ok(DEFAULT.to_owned()) };
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut store = format!("url = {}", quoted(url));
        if let Some(password) = &self.store_password {
            store += &format!("\npassword = {}", quoted(password));
        }
        let mut text = DEFAULT.replace(SQLITE, &store);
        if let Some(ca) = &self.store_ca {
            let ca = std::path::absolute(ca)?;
            let ca = ca.to_str().ok_or_else(|| Failure::Usage("--store-ca: the path is not UTF-8".to_owned()))?;
            text = text.replace("\n[pepper]\n", &format!("\n[store.tls]\nca = {}\n\n[pepper]\n", quoted(ca)));
        }
        Ok(text)
    }

    /// Saves the admin API key, which could not be shown, in a file.
    fn save(&self, made: &Initialized, error: &io::Error) -> Failure {
        let path = self.dir.join(ADMIN_KEY_FILE);
        let line = Zeroizing::new(format!("{}\n", made.admin_api_key));
        Failure::Undone(match write_new(&path, line.as_bytes(), 0o600) {
            Ok(()) => format!(
                "the deployment was created, but the first admin API key could not be shown ({error}): it is in {}, with mode 0600",
                path.display()
            ),
            Err(also) => format!(
                "the deployment was created, but the first admin API key could be neither shown ({error}) nor saved ({also}): \
                 issue another one with `bulla issue --realm bulla --scope admin --app UUID`, and revoke the lost one, which \
                 `bulla keys list --realm bulla` lists"
            ),
        })
    }

    fn show(&self, made: &Initialized) -> io::Result<()> {
        if self.json {
            return output::json(made);
        }
        output::fields(&[
            ("config", made.config.display().to_string()),
            ("keyring", made.keyring.display().to_string()),
            ("store", made.store.clone()),
            (
                "master key",
                format!(
                    "{} (back it up with the keyring: without both no API key verifies)",
                    self.dir.join(MASTER_FILE).display()
                ),
            ),
            ("keyring MAC key", self.dir.join(MAC_FILE).display().to_string()),
            ("pepper", self.dir.join(PEPPER_FILE).display().to_string()),
            ("feed signing key", self.dir.join(FEED_FILE).display().to_string()),
            ("admin API key", made.admin_api_key.clone()),
        ])?;
        output::line("\nThe admin API key is shown only once: save it in a secret store or in a file of mode 0600.")?;
        output::line(format!("Next: bulla serve --config {}", made.config.display()))
    }
}

/// Creates a deployment in `folder`: configuration, keyring with one active version, store, and the first
/// administrator.
pub(super) fn create(folder: &Path, configuration: &str) -> Result<NewDeployment, Failure> {
    create_folder(folder)?;
    let config_path = folder.join("bulla.toml");
    // Checks all names first, so that a refusal leaves nothing half made.
    for name in ["bulla.toml", "keyring.toml", "bulla.db", MASTER_FILE, MAC_FILE, FEED_FILE, PEPPER_FILE] {
        let path = folder.join(name);
        // A link that leads nowhere is in the way, too.
        if path.symlink_metadata().is_ok() {
            return Err(Failure::Undone(format!(
                "{} exists, and init overwrites nothing: name another folder",
                path.display()
            )));
        }
    }
    let store = server_of(configuration, folder)?;
    let mut begun = Begun { folder, files: Vec::new() };
    for name in [MASTER_FILE, MAC_FILE, FEED_FILE, PEPPER_FILE] {
        begun.write(name, new_key()?.as_bytes(), 0o600)?;
    }
    begun.write("bulla.toml", configuration.as_bytes(), 0o644)?;
    // Nobody else makes these now: they would have failed at the first file.
    begun.files.extend(["keyring.toml", "bulla.db", "bulla.db-wal", "bulla.db-shm"]);
    let deployment = Deployment::of(Config::load_file(&config_path).map_err(crate::deployment::DeploymentError::from)?);

    let now = clock::now_seconds();
    let mut document = KeyringDocument::new(KeyringId::random().map_err(io::Error::other)?);
    let uri: SourceUri = format!("file:{MASTER_FILE}").parse().map_err(|error| Failure::Undone(format!("{error}")))?;
    let source = SourceRecord { uri, wrapped: None };
    let version = document.stage(Suite::default(), vec![source], &deployment.sources, now)?;
    document.activate(version, now)?;
    deployment.write_new_keyring(&document)?;

    let store = match store {
        Some(store) => store,
        None => store::open(&deployment.config.store, folder, true)?,
    };
    let administrator = NewApiKey {
        name: Some("first administrator, from bulla init".to_owned()),
        scopes: vec![Scope::Admin.to_string()],
        expires_in: Some(NEVER.to_owned()),
        ..NewApiKey::plain(Realm::ADMIN, uuid::Uuid::new_v4())
    };
    let issued = Local { deployment, store }.issue(administrator)?;
    begun.files.clear();
    Ok(NewDeployment { config: config_path, admin_api_key: SecretString::from(issued.api_key.expose()) })
}

/// Creates the folder of a new configuration, where it is not there.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot create {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(named)
}

/// The files that were written so far. They go if the rest cannot be written, so that the next attempt finds nothing in
/// its way; nobody has used them.
struct Begun<'a> {
    folder: &'a Path,
    files: Vec<&'static str>,
}

impl Begun<'_> {
    fn write(&mut self, name: &'static str, content: &[u8], mode: u32) -> Result<(), Failure> {
        let path = self.folder.join(name);
        if let Err(error) = write_new(&path, content, mode) {
            // What another process put there is not ours.
            if error.kind() != io::ErrorKind::AlreadyExists {
                self.files.push(name);
            }
            return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())).into());
        }
        self.files.push(name);
        Ok(())
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        for name in &self.files {
            let _gone_already = std::fs::remove_file(self.folder.join(name));
        }
    }
}

/// The store on a server, if it is on one: opened before anything is written, and refused where it is in use.
fn server_of(configuration: &str, folder: &Path) -> Result<Option<Arc<dyn Store>>, Failure> {
    let config: Config = toml::from_str(configuration).map_err(io::Error::other)?;
    config.store.check("--store").map_err(crate::deployment::DeploymentError::from)?;
    if matches!(config.store.parsed(), Ok(StoreUrl::Sqlite(_))) {
        return Ok(None);
    }
    let store = store::open(&config.store, folder, true)?;
    if store.count()? > 0 || !store.keyring_memories()?.is_empty() {
        return Err(Failure::Undone(
            "this database holds the store of a deployment, and init makes a new one: name another database. A further node of \
             that deployment gets a copy of its folder instead"
                .to_owned(),
        ));
    }
    Ok(Some(store))
}

/// One line of base64 of 32 random bytes.
fn new_key() -> io::Result<Zeroizing<String>> {
    let mut key = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(key.as_mut_slice()).map_err(io::Error::other)?;
    let mut line = Zeroizing::new(BASE64.encode(key.as_slice()));
    line.push('\n');
    Ok(line)
}
