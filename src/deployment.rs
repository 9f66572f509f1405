//! A deployment as the configuration describes it: key sources, keyring and store, opened for a command or the service.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{Keyring, KeyringDocument, KeyringError, Sources};

use crate::{
    config::{Config, ConfigError},
    store::{self, Store, StoreError},
};

/// What the configuration names, opened.
pub(crate) struct Deployment {
    pub(crate) config: Config,
    pub(crate) sources: Sources,
}

/// The deployment cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeploymentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot read the keyring {path}: {error}; `bulla init` and `bulla keyring init` make one")]
    KeyringRead { path: PathBuf, error: std::io::Error },
    #[error("cannot write the keyring {path}: {error}")]
    KeyringWrite { path: PathBuf, error: std::io::Error },
    #[error("keyring.source is `{0}`: known places of the keyring are file:PATH")]
    KeyringPlace(String),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Deployment {
    /// Reads the configuration at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DeploymentError> {
        Ok(Self::of(Config::load(path)?))
    }

    /// The deployment that `config` describes.
    pub(crate) fn of(config: Config) -> Self {
        let sources = Sources::new(&config.folder);
        Deployment { config, sources }
    }

    /// Checks the configuration again, after arguments changed it.
    pub(crate) fn recheck(&self) -> Result<(), DeploymentError> {
        Ok(self.config.recheck("the command line")?)
    }

    /// The keyring document, authenticated.
    pub(crate) fn document(&self) -> Result<KeyringDocument, DeploymentError> {
        let path = self.keyring_path()?;
        let text = std::fs::read_to_string(&path).map_err(|error| DeploymentError::KeyringRead { path, error })?;
        Ok(KeyringDocument::parse(&text, &self.config.keyring.mac_source, &self.sources)?)
    }

    /// The keyring document, and the keyring loaded for all realms: the sources are asked here.
    pub(crate) fn keyring(&self) -> Result<(KeyringDocument, Keyring), DeploymentError> {
        let document = self.document()?;
        let keyring = Keyring::load(&document, &self.sources, &self.config.all_realms())?;
        Ok((document, keyring))
    }

    /// Where the keyring document is.
    pub(crate) fn keyring_path(&self) -> Result<PathBuf, DeploymentError> {
        let source = &self.config.keyring.source;
        match source.scheme() {
            "file" => Ok(self.config.folder.join(source.rest())),
            _ => Err(DeploymentError::KeyringPlace(source.to_string())),
        }
    }

    /// The store, which must exist.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, DeploymentError> {
        Ok(store::open(&self.config.store.url, &self.config.folder, false)?)
    }
}
