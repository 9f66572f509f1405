//! Changes of the keyring document: the audit has a record before the file is replaced. A new document is written only
//! where there is none.

use bulla::keyring::{KeyringDocument, KeyringMemory, MacKey};
use serde_json::json;

use super::{
    Deployment, DeploymentError,
    keyring_file::{KeyringLock, Replaced},
    names,
    new_file::write_new,
};
use crate::store::{AuditRecord, Store, StoreError, transact};

/// How often a change that asks key sources is repeated because another process changed the keyring meanwhile.
const TRIES: usize = 5;

impl Deployment {
    /// Changes the keyring: reads it, applies `change` and replaces the document, one process at a time. The audit gets
    /// the record of `record` first: a change that cannot be recorded is not made.
    ///
    /// A change that asks key sources is applied without the lock, as a source that hangs would hold it. It is repeated
    /// where another process was first.
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
        Err(DeploymentError::KeyringKnown { known: names(&memories.known), keys: store.count()? })
    }

    /// Writes the document of a new keyring, where none exists yet.
    pub(crate) fn write_new_keyring(&self, document: &KeyringDocument) -> Result<(), DeploymentError> {
        let path = self.keyring_path()?;
        let key = MacKey::open(&self.config.keyring.mac_source, &self.sources, document.id())?;
        let text = document.render(&key)?;
        write_new(&path, text.as_bytes(), 0o644).map_err(|error| DeploymentError::KeyringWrite { path, error })
    }
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
