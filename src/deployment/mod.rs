//! A deployment as configured: key sources, keyring and store, opened for a command or the service.

pub(crate) mod consistency;
mod error;
mod keyring_change;
mod keyring_file;
mod new_file;
mod purposes;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{
    feed::SigningKey,
    keyring::{Keyring, KeyringDocument, KeyringError, KeyringId, KeyringMemory, MacKey},
    source::Sources,
};

pub(crate) use self::{error::DeploymentError, keyring_file::read as read_keyring, new_file::write_new};
use crate::{
    assertion::Assertions,
    config::{Config, ConfigError, StoreUrl},
    escrow,
    secret::Peppers,
    store::{self, Store},
};

/// What the configuration names, opened.
pub(crate) struct Deployment {
    pub(crate) config: Config,
    pub(crate) sources: Sources,
    /// The keyring's MAC key, if it is loaded: its source need not be asked then.
    pub(crate) mac_key: Option<Arc<MacKey>>,
}

/// Reads the configuration at `path`, and refuses one that no deployment can have.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let config = Config::load(path)?;
    escrow::check(&config, &path.display().to_string())?;
    Ok(config)
}

impl Deployment {
    /// Reads the configuration at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DeploymentError> {
        Ok(Self::of(load(path)?))
    }

    /// The deployment that `config` describes.
    pub(crate) fn of(config: Config) -> Self {
        let sources = Sources::new(&config.folder).trusting(&config.keyring.trusted_sources);
        Deployment { config, sources, mac_key: None }
    }

    /// Checks the configuration again, after arguments changed it.
    pub(crate) fn recheck(&self) -> Result<(), DeploymentError> {
        Ok(self.config.recheck("the command line")?)
    }

    /// The store, which must exist.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, DeploymentError> {
        self.check_node()?;
        Ok(store::open(&self.config.store, &self.config.folder, false)?)
    }

    /// Refuses the configuration of an edge or a relay, whose store and keyring are none.
    fn check_node(&self) -> Result<(), DeploymentError> {
        if self.config.follow.is_some() { Err(DeploymentError::Follows) } else { Ok(()) }
    }

    /// The keyring document: authenticated, and not older than the store remembers.
    pub(crate) fn document(&self, store: &dyn Store) -> Result<KeyringDocument, DeploymentError> {
        self.document_and_key(store).map(|(document, _)| document)
    }

    /// The same, with the key that authenticates it.
    pub(crate) fn document_and_key(
        &self,
        store: &dyn Store,
    ) -> Result<(KeyringDocument, Arc<MacKey>), DeploymentError> {
        self.read(store, |text| self.parse(text))
    }

    /// The document that `parse` makes of the file.
    fn read<T>(
        &self,
        store: &dyn Store,
        parse: impl FnOnce(&str) -> Result<(KeyringDocument, T), KeyringError>,
    ) -> Result<(KeyringDocument, T), DeploymentError> {
        // The memory before the document: a change is written before it is remembered, so what is remembered now cannot
        // be newer than what is read next.
        let memories = store.keyring_memories()?;
        let path = self.keyring_path()?;
        let text = match read_keyring(&path) {
            Err(DeploymentError::KeyringRead { error, .. })
                if error.kind() == io::ErrorKind::NotFound && !memories.is_empty() =>
            {
                return Err(DeploymentError::KeyringLost { path, known: names(&memories.known), keys: store.count()? });
            }
            text => text?,
        };
        let (document, key) = parse(&text)?;
        let memory = memories.known.get(&document.id()).cloned().unwrap_or_default();
        memory.check(&document)?;
        let seen = KeyringMemory::after(&document);
        if seen != memory {
            store.remember_keyring(document.id(), &seen)?;
        }
        if !memories.known.contains_key(&document.id())
            && let Some(trouble) = consistency::other_keyrings(&document, &memories.known)
        {
            tracing::error!("{trouble}");
        }
        Ok((document, key))
    }

    /// The document and its key: the loaded one if it fits, otherwise the one of its source.
    fn parse(&self, text: &str) -> Result<(KeyringDocument, Arc<MacKey>), KeyringError> {
        if let Some(key) = &self.mac_key {
            match KeyringDocument::parse_with(text, key) {
                Err(KeyringError::MacWrong) => {}
                parsed => return Ok((parsed?, Arc::clone(key))),
            }
        }
        let key = MacKey::for_document(text, &self.config.keyring.mac_source, &self.sources)?;
        Ok((KeyringDocument::parse_with(text, &key)?, Arc::new(key)))
    }

    /// The document under a loaded key, without asking any source.
    pub(crate) fn document_with(&self, store: &dyn Store, key: &MacKey) -> Result<KeyringDocument, DeploymentError> {
        self.read(store, |text| Ok((KeyringDocument::parse_with(text, key)?, ()))).map(|(document, ())| document)
    }

    /// The keyring loaded for all realms: the sources are asked here.
    pub(crate) fn load(&self, document: &KeyringDocument) -> Result<Keyring, DeploymentError> {
        Ok(Keyring::load(document, &self.sources, &self.config.all_realms())?)
    }

    /// Document and keyring.
    pub(crate) fn keyring(&self, store: &dyn Store) -> Result<(KeyringDocument, Keyring), DeploymentError> {
        let document = self.document(store)?;
        let keyring = self.load(&document)?;
        Ok((document, keyring))
    }

    /// Where the store is, if it is a file.
    pub(crate) fn store_path(&self) -> Option<PathBuf> {
        match self.config.store.parsed() {
            Ok(StoreUrl::Sqlite(path)) => Some(self.config.folder.join(path)),
            _ => None,
        }
    }

    /// Where the keyring document is.
    pub(crate) fn keyring_path(&self) -> Result<PathBuf, DeploymentError> {
        self.check_node()?;
        let source = &self.config.keyring.source;
        match source.scheme() {
            "file" => Ok(self.config.folder.join(source.rest())),
            _ => Err(DeploymentError::KeyringPlace(source.to_string())),
        }
    }

    /// The versions of the pepper, where there is one.
    pub(crate) fn peppers(&self, document: &KeyringDocument) -> Result<Option<Peppers>, DeploymentError> {
        let opened = self.config.pepper.as_ref().map(|pepper| Peppers::open(pepper, &self.sources, document));
        Ok(opened.transpose()?)
    }

    /// The key that signs the revocation feed, where there is one.
    pub(crate) fn feed_key(&self) -> Result<Option<SigningKey>, DeploymentError> {
        let opened = self.config.feed.signing_key.as_ref().map(|uri| SigningKey::open(uri, &self.sources)).transpose();
        opened.map_err(DeploymentError::FeedKey)
    }

    /// What signs assertions, where anything does.
    pub(crate) fn assertions(&self) -> Result<Option<Assertions>, DeploymentError> {
        if self.config.assertion.signing_keys.is_empty() {
            return Ok(None);
        }
        let feed = self.feed_key()?.map(|key| key.verifying_key());
        Ok(Some(Assertions::open(&self.config.assertion, feed, &self.sources)?))
    }
}

/// The ids of keyrings.
fn names(memories: &HashMap<KeyringId, KeyringMemory>) -> String {
    let mut ids: Vec<String> = memories.keys().map(ToString::to_string).collect();
    if ids.is_empty() {
        return "by rows that cannot be read".to_owned();
    }
    ids.sort();
    ids.join(", ")
}
