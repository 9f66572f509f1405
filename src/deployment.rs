//! A deployment as configured: key sources, keyring and store, opened for a command or the service.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bulla::{
    feed::SigningKey,
    keyring::{ExportError, KeyVersion, Keyring, KeyringDocument, KeyringError, KeyringId, KeyringMemory, MacKey},
    source::{SourceError, Sources},
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    assertion::{AssertionError, Assertions},
    belonging,
    config::{Config, ConfigError, Span, StoreUrl},
    escrow,
    imported::OldSecretError,
    keyring_file::{self, KeyringLock, Replaced},
    secret::Peppers,
    store::{self, AuditRecord, Store, StoreError, transact},
    tls::ListenerTlsError,
    verification::ImportedKeysError,
};

/// What the configuration names, opened.
pub(crate) struct Deployment {
    pub(crate) config: Config,
    pub(crate) sources: Sources,
    /// The keyring's MAC key, if it is loaded: its source need not be asked then.
    pub(crate) mac_key: Option<Arc<MacKey>>,
}

/// How often a change that asks key sources is repeated because another process changed the keyring meanwhile.
const TRIES: usize = 5;

/// The deployment cannot be opened, or its keyring cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeploymentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "cannot read the keyring {path}: {error}; put it back from the backup. Only a new deployment makes one: `bulla init` a \
         whole one, `bulla keyring init` a keyring for a written configuration"
    )]
    KeyringRead { path: PathBuf, error: io::Error },
    #[error(
        "the keyring {path} is gone, and the store knows it ({known}, with {keys} API keys on record): put it back from the \
         backup. A new keyring over the same master keys is another one, and makes all of these API keys invalid for good"
    )]
    KeyringLost { path: PathBuf, known: String, keys: u64 },
    #[error("the keyring {0} exists, and nothing is overwritten")]
    KeyringExists(PathBuf),
    #[error(
        "the store knows another keyring ({known}, with {keys} API keys on record): put that one back from the backup. A new one \
         makes all of these API keys invalid for good, also over the same master keys"
    )]
    KeyringKnown { known: String, keys: u64 },
    #[error("cannot write the keyring {path}: {error}")]
    KeyringWrite { path: PathBuf, error: io::Error },
    #[error(
        "the keyring {path} is changed, and the change is in force, but the disk did not confirm it ({error}): after a power \
         failure the keyring may be as it was before. See to the disk, and look at `bulla keyring show`"
    )]
    KeyringUnconfirmed { path: PathBuf, error: io::Error },
    #[error("the keyring {0} is read-only here: change it where it is written, and put it in place again")]
    KeyringReadOnly(PathBuf),
    #[error(
        "another process has held {lock} for {limit:?}: see which (`fuser {lock}`), and end it if it hangs; the keyring is as it was"
    )]
    KeyringLocked { lock: PathBuf, limit: Duration },
    #[error("other processes kept changing the keyring while the key sources were asked: try again")]
    KeyringBusy,
    #[error("keyring.source is `{0}`: it must be file:PATH")]
    KeyringPlace(String),
    #[error(
        "version {version} was staged at {staged_at}, less than the refresh interval of {interval} ago: verifiers that have \
         not seen it yet would reject its API keys; wait, or activate it by force"
    )]
    NotEverywhere { version: KeyVersion, staged_at: Timestamp, interval: Span },
    #[error(
        "version {version} is not loaded by {names}: they would reject its API keys. See `bulla fleet`; one that is gone for good \
         is forgotten with `bulla fleet forget NAME`"
    )]
    NotLoaded { version: KeyVersion, names: String },
    #[error(
        "version {version} was staged at {staged_at}, and it is {now} here: one of the two clocks is wrong, so nobody can tell \
         whether every verifier has it; compare `keyring_serial` in the /readyz of all services before you activate it"
    )]
    StagedAhead { version: KeyVersion, staged_at: Timestamp, now: Timestamp },
    #[error("feed.signing_key: {0}")]
    FeedKey(SourceError),
    #[error("an export is signed by the feed's key, which edges trust, and feed.signing_key is not set: set it")]
    ExportUnsigned,
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("assertion.signing_keys: {0}")]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Tls(#[from] ListenerTlsError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    OldSecret(#[from] OldSecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the configuration at `path`, and refuses one that no deployment can have.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let config = Config::load(path)?;
    escrow::check(&config, &path.display().to_string())?;
    Ok(config)
}

impl From<ImportedKeysError> for DeploymentError {
    fn from(error: ImportedKeysError) -> Self {
        match error {
            ImportedKeysError::Store(error) => error.into(),
            ImportedKeysError::OldSecret(error) => error.into(),
        }
    }
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
        Ok(store::open(&self.config.store, &self.config.folder, false)?)
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
        // The memory before the document: a change is written before it is remembered, so what is remembered now cannot be
        // newer than what is read next.
        let memories = store.keyring_memories()?;
        let path = self.keyring_path()?;
        let text = match keyring_file::read(&path) {
            Err(DeploymentError::KeyringRead { error, .. })
                if error.kind() == io::ErrorKind::NotFound && !memories.is_empty() =>
            {
                return Err(DeploymentError::KeyringLost { path, known: names(&memories), keys: store.count()? });
            }
            text => text?,
        };
        let (document, key) = parse(&text)?;
        let memory = memories.get(&document.id()).cloned().unwrap_or_default();
        memory.check(&document)?;
        let seen = KeyringMemory::after(&document);
        if seen != memory {
            store.remember_keyring(document.id(), &seen)?;
        }
        if !memories.contains_key(&document.id())
            && let Some(trouble) = belonging::other_keyrings(&document, &memories)
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

    /// Refuses a new keyring where one exists, or where the store knows one: a new one makes its API keys invalid.
    pub(crate) fn refuse_second_keyring(&self) -> Result<(), DeploymentError> {
        let path = self.keyring_path()?;
        if path.exists() {
            return Err(DeploymentError::KeyringExists(path));
        }
        let store = match self.store() {
            Ok(store) => store,
            Err(DeploymentError::Store(StoreError::Missing(_) | StoreError::NoSchema(_))) => return Ok(()),
            Err(error) => return Err(error),
        };
        let memories = store.keyring_memories()?;
        if memories.is_empty() {
            return Ok(());
        }
        Err(DeploymentError::KeyringKnown { known: names(&memories), keys: store.count()? })
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

    /// Changes the keyring: reads it, applies `change` and replaces the document, one process at a time. The audit gets the
    /// record of `record` first: a change that cannot be recorded is not made.
    ///
    /// A change that asks key sources is applied without the lock, as a source that hangs would hold it. It is repeated where
    /// another process was first.
    pub(crate) fn change_keyring<T>(
        &self,
        store: &dyn Store,
        asks_sources: bool,
        change: impl Fn(&mut KeyringDocument) -> Result<T, DeploymentError>,
        record: impl FnOnce(&KeyringDocument, &T) -> AuditRecord,
    ) -> Result<(KeyringDocument, T), DeploymentError> {
        let path = self.keyring_path()?;
        for _ in 0..TRIES {
            // Errors are reported before the lock is waited for, and no source is asked once it is held.
            let (before, key) = self.document_and_key(store)?;
            let mut document = before.clone();
            let changed = asks_sources.then(|| change(&mut document)).transpose()?;
            let held = KeyringLock::lock(&path)?;
            let now = self.document_with(store, &key)?;
            let changed = match changed {
                Some(changed) if now == before => changed,
                Some(_) => continue,
                None => {
                    document = now;
                    change(&mut document)?
                }
            };
            return self.write(&held, store, document, changed, &key, record);
        }
        Err(DeploymentError::KeyringBusy)
    }

    fn write<T>(
        &self,
        held: &KeyringLock,
        store: &dyn Store,
        document: KeyringDocument,
        changed: T,
        key: &MacKey,
        record: impl FnOnce(&KeyringDocument, &T) -> AuditRecord,
    ) -> Result<(KeyringDocument, T), DeploymentError> {
        let text = document.render(key)?;
        let record = record(&document, &changed);
        transact(store, |transaction| transaction.append_audit(&record))?;
        let unconfirmed = match held.replace(text.as_bytes()) {
            Ok(Replaced::Durably) => None,
            Ok(Replaced::Unconfirmed(error)) => {
                let path = self.keyring_path()?;
                Some(DeploymentError::KeyringUnconfirmed { path, error })
            }
            Err(error) => {
                let mut record = record;
                record.action.push_str(".failed");
                record.detail = json!({"error": error.to_string()});
                transact(store, |transaction| transaction.append_audit(&record))?;
                return Err(error);
            }
        };
        // The change is in force; the next process that reads the document remembers it.
        if let Err(error) = store.remember_keyring(document.id(), &KeyringMemory::after(&document)) {
            tracing::warn!(%error, "store does not remember a change of the keyring yet");
        }
        unconfirmed.map_or(Ok((document, changed)), Err)
    }

    /// Writes the document of a new keyring, where none exists yet.
    pub(crate) fn write_new_keyring(&self, document: &KeyringDocument) -> Result<(), DeploymentError> {
        let path = self.keyring_path()?;
        let key = MacKey::open(&self.config.keyring.mac_source, &self.sources, document.id())?;
        let text = document.render(&key)?;
        keyring_file::write_new(&path, text.as_bytes(), 0o644)
            .map_err(|error| DeploymentError::KeyringWrite { path, error })
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
    ids.sort();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use bulla::keyring::SourceRecord;

    use super::*;
    use crate::{action::Actor, cli, clock};

    #[test]
    fn a_change_that_the_disk_does_not_confirm_is_told_as_the_change_that_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = cli::throw_away(folder.path()).expect("a deployment");
        let deployment = Deployment::open(&config).expect("opened");
        let store = deployment.store().expect("a store");
        let (mut document, key) = deployment.document_and_key(&*store).expect("a keyring");
        let record = SourceRecord { uri: "file:master-1.key".parse().expect("a URI"), wrapped: None };
        let staged = document.stage(Default::default(), vec![record], &deployment.sources, clock::now_seconds());
        let record =
            |_: &KeyringDocument, _: &()| Actor::service().record(clock::now(), "keyring.test", None, json!({}));
        let held = KeyringLock::lock(&deployment.keyring_path().expect("a path")).expect("locked").unconfirmed();
        let written = deployment.write(&held, &*store, document.clone(), (), &key, record);
        let error = written.expect_err("not confirmed").to_string();
        assert!(error.contains("is changed") && error.contains("keyring.toml"), "{staged:?}: {error}");
        assert_eq!(deployment.document(&*store).expect("the new one"), document);
        let actions: Vec<_> =
            store.audit_after(0, 100).expect("the audit").into_iter().map(|one| one.record.action).collect();
        assert_eq!(actions.last().map(String::as_str), Some("keyring.test"), "no `.failed` behind it: {actions:?}");
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|one| one.file_name()).collect();
        assert!(!names.iter().any(|name| name == "keyring.new"), "{names:?}");
    }
}
