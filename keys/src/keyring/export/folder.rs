//! A folder of exports, from which an edge and a gateway take their keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{EdgeKey, ExportedKeyring, RealmExport};
use crate::{feed_key::VerifyingKey, keyring_id::KeyringId, realm::Realm, source::read_regular_file};

/// Larger than an export of a thousand versions.
const MAX_EXPORT: u64 = 1 << 20;

/// The exports in force, the newest of each realm, and what made others unusable.
#[derive(Clone, Default)]
pub struct Exports {
    all: Vec<Arc<RealmExport>>,
    failed: Vec<String>,
}

impl Exports {
    /// The files in `folder` that are exports by their names, in the order of these.
    pub fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "export"));
        files.sort();
        files
    }

    /// Reads all files of the folder: exports of this keyring to this edge. One that cannot be used takes nothing away:
    /// `before` has what was opened earlier. Only realms that `has_realm` knows count.
    pub fn read(
        folder: &Path,
        key: &EdgeKey,
        trusted: (KeyringId, &VerifyingKey),
        has_realm: impl Fn(Realm) -> bool,
        before: Exports,
    ) -> Self {
        let files = Self::files(folder).into_iter().map(|path| {
            let text = read_regular_file(&path, MAX_EXPORT)
                .map_err(|error| error.to_string())
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
            (path.display().to_string(), text)
        });
        Self::open(files, key, trusted, has_realm, before)
    }

    /// The same from texts, each with its name.
    pub(crate) fn open(
        texts: impl IntoIterator<Item = (String, Result<String, String>)>,
        key: &EdgeKey,
        (keyring_id, public_key): (KeyringId, &VerifyingKey),
        has_realm: impl Fn(Realm) -> bool,
        before: Exports,
    ) -> Self {
        let mut exports = Exports { all: before.all, failed: Vec::new() };
        for (name, text) in texts {
            let open =
                |text: String| RealmExport::open(&text, key, keyring_id, public_key).map_err(|error| error.to_string());
            match text.and_then(open) {
                Ok(export) if has_realm(export.realm()) => exports.put(Arc::new(export)),
                Ok(export) => exports.failed.push(format!(
                    "{name} is of the realm {realm}, and there is no [realms.{realm}]: add that table, or remove the file",
                    realm = export.realm()
                )),
                Err(error) => exports.failed.push(format!("{name}: {error}")),
            }
        }
        exports.all.retain(|export| has_realm(export.realm()));
        exports
    }

    /// Keeps the newer of two exports of one realm.
    fn put(&mut self, export: Arc<RealmExport>) {
        let age = |export: &RealmExport| (export.serial(), export.created_at());
        match self.all.iter_mut().find(|one| one.realm() == export.realm()) {
            Some(one) if age(one) <= age(&export) => *one = export,
            Some(_) => {}
            None => self.all.push(export),
        }
    }

    /// Why files could not be used.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// The first of these realms that has no export.
    pub fn lacking(&self, realms: impl IntoIterator<Item = Realm>) -> Option<Realm> {
        let has = |realm: &Realm| self.all.iter().any(|export| export.realm() == *realm);
        realms.into_iter().find(|realm| !has(realm))
    }

    /// The keyring of all of them.
    pub fn keyring(&self, id: KeyringId) -> ExportedKeyring {
        ExportedKeyring::new(id, self.all.iter().map(Arc::as_ref))
    }
}
