//! A deployment as the configuration describes it: key sources, keyring and store, opened for a command or the service.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{
    KeyVersion, Keyring, KeyringDocument, KeyringError, KeyringMemory, MacKey, SourceError, Sources, feed::SigningKey,
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    assertion::{AssertionError, Assertions},
    config::{Config, ConfigError, Span},
    imported::HmacKeyError,
    secret::Peppers,
    store::{self, AuditRecord, Store, StoreError, transact},
    tls::ListenerTlsError,
};

/// What the configuration names, opened.
pub(crate) struct Deployment {
    pub(crate) config: Config,
    pub(crate) sources: Sources,
}

/// The deployment cannot be opened, or its keyring not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeploymentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot read the keyring {path}: {error}; `bulla init` and `bulla keyring init` make one")]
    KeyringRead { path: PathBuf, error: io::Error },
    #[error("cannot write the keyring {path}: {error}")]
    KeyringWrite { path: PathBuf, error: io::Error },
    #[error("the keyring {0} is read-only here: change it where it is written, and put it in place again")]
    KeyringReadOnly(PathBuf),
    #[error("keyring.source is `{0}`: known places of the keyring are file:PATH")]
    KeyringPlace(String),
    #[error(
        "version {version} was staged at {staged_at}, less than the refresh interval of {interval} ago: verifiers that have \
         not seen it yet will reject its API keys"
    )]
    NotEverywhere { version: KeyVersion, staged_at: Timestamp, interval: Span },
    #[error("feed.signing_key: {0}")]
    FeedKey(SourceError),
    #[error("assertion.signing_keys: {0}")]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Tls(#[from] ListenerTlsError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    HmacKey(#[from] HmacKeyError),
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
        let sources = Sources::new(&config.folder).trusting(&config.keyring.trusted_sources);
        Deployment { config, sources }
    }

    /// Checks the configuration again, after arguments changed it.
    pub(crate) fn recheck(&self) -> Result<(), DeploymentError> {
        Ok(self.config.recheck("the command line")?)
    }

    /// The store, which must exist.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, DeploymentError> {
        Ok(store::open(&self.config.store.url, &self.config.folder, false)?)
    }

    /// The keyring document: authenticated, and held to what the store remembers of it.
    pub(crate) fn document(&self, store: &dyn Store) -> Result<KeyringDocument, DeploymentError> {
        let path = self.keyring_path()?;
        // The memory before the document: a change is written first and remembered then, so what is remembered now cannot
        // be newer than what is read next.
        let memories = store.keyring_memories()?;
        let text = std::fs::read_to_string(&path).map_err(|error| DeploymentError::KeyringRead { path, error })?;
        let document = KeyringDocument::parse(&text, &self.config.keyring.mac_source, &self.sources)?;
        let memory = memories.get(&document.id()).cloned().unwrap_or_default();
        memory.check(&document)?;
        let seen = KeyringMemory::after(&document);
        if seen != memory {
            store.remember_keyring(document.id(), &seen)?;
        }
        Ok(document)
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

    /// Changes the keyring: reads it, lets `change` at it and puts the new document in its place, one process at a time.
    /// Before that the audit gets what `record` makes of it: a change that cannot be recorded is not made.
    pub(crate) fn change_keyring<T>(
        &self,
        store: &dyn Store,
        change: impl FnOnce(&mut KeyringDocument, &Sources) -> Result<T, KeyringError>,
        record: impl FnOnce(&KeyringDocument, &T) -> AuditRecord,
    ) -> Result<(KeyringDocument, T), DeploymentError> {
        // A link stays a link: what it leads to is replaced.
        let path = self.keyring_path()?;
        let path = path.canonicalize().map_err(|error| DeploymentError::KeyringRead { path, error })?;
        let failed = |error| DeploymentError::KeyringWrite { path: path.clone(), error };
        if path.metadata().is_ok_and(|metadata| metadata.permissions().readonly()) {
            return Err(DeploymentError::KeyringReadOnly(path));
        }
        let _one_at_a_time = lock(&path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                DeploymentError::KeyringReadOnly(path.clone())
            }
            _ => failed(error),
        })?;
        let mut document = self.document(store)?;
        let changed = change(&mut document, &self.sources)?;
        let text = self.render(&document)?;
        let record = record(&document, &changed);
        transact(store, |transaction| transaction.append_audit(&record))?;
        if let Err(error) = replace(&path, text.as_bytes()) {
            let mut record = record;
            record.action.push_str(".failed");
            record.detail = json!({"error": error.to_string()});
            transact(store, |transaction| transaction.append_audit(&record))?;
            return Err(failed(error));
        }
        store.remember_keyring(document.id(), &KeyringMemory::after(&document))?;
        Ok((document, changed))
    }

    /// Writes the document of a new keyring, where none may be yet.
    pub(crate) fn write_new_keyring(&self, document: &KeyringDocument) -> Result<(), DeploymentError> {
        let path = self.keyring_path()?;
        let text = self.render(document)?;
        write_new(&path, text.as_bytes(), 0o644).map_err(|error| DeploymentError::KeyringWrite { path, error })
    }

    /// Where the keyring document is.
    pub(crate) fn keyring_path(&self) -> Result<PathBuf, DeploymentError> {
        let source = &self.config.keyring.source;
        match source.scheme() {
            "file" => Ok(self.config.folder.join(source.rest())),
            _ => Err(DeploymentError::KeyringPlace(source.to_string())),
        }
    }

    /// The key that authenticates the keyring.
    pub(crate) fn mac_key(&self, document: &KeyringDocument) -> Result<MacKey, KeyringError> {
        MacKey::open(&self.config.keyring.mac_source, &self.sources, document.id())
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

    fn render(&self, document: &KeyringDocument) -> Result<String, DeploymentError> {
        Ok(document.render(&self.mac_key(document)?)?)
    }
}

/// Holds off other processes that would change the keyring. The document itself is replaced, so a file beside it is locked.
fn lock(keyring: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(keyring.with_extension("lock"))?;
    give_to_owner_of(keyring, &file)?;
    file.lock()?;
    Ok(file)
}

/// Replaces `path` in one step: a reader sees the old document or the new one, also after a crash.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Always of this name: whoever holds the lock overwrites what one that was killed left behind.
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.set_permissions(path.metadata()?.permissions())?;
    give_to_owner_of(path, &file)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

/// An administrator who changes the keyring as root leaves it with the user of the service. Others cannot give files away,
/// and need not.
fn give_to_owner_of(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (owner, given) = (path.metadata()?, file.metadata()?);
    if (owner.uid(), owner.gid()) == (given.uid(), given.gid()) {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file that must not exist yet, durably.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
