//! The edge's own key, and the exports that it opens.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{
    Realm,
    keyring::{EdgeKey, ExportedKeyring, KeyringId, RealmExport},
    source::{read_regular_file, read_secret_file},
};

use super::EdgeError;
use crate::config::{Config, FollowConfig};

/// Larger than an export of a thousand versions.
const MAX_EXPORT: u64 = 1 << 20;

/// The exports in force, and what made others unusable.
#[derive(Clone, Default)]
pub(crate) struct Exports {
    all: Vec<Arc<RealmExport>>,
    pub(crate) failed: Vec<String>,
}

/// Reads the edge's own key.
pub(crate) fn read_edge_key(follow: &FollowConfig) -> Result<EdgeKey, EdgeError> {
    let failed = |error| EdgeError::Key { path: follow.key.clone(), error };
    EdgeKey::parse(&read_secret_file(&follow.key)?).map_err(failed)
}

/// The files that are exports, in the order of their names.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "export"));
    files.sort();
    files
}

impl Exports {
    /// Reads all files of the folder. One that cannot be used takes nothing away: `before` has what was opened earlier.
    pub(crate) fn read(config: &Config, follow: &FollowConfig, key: &EdgeKey, before: Exports) -> Self {
        let mut exports = Exports { all: before.all, failed: Vec::new() };
        for path in files(&follow.exports) {
            match open(&path, follow, key) {
                Ok(export) if config.has_realm(export.realm()) => exports.put(Arc::new(export)),
                Ok(export) => exports.failed.push(format!(
                    "{} is of the realm {}, and there is no [realms.{}]: add that table, or remove the file",
                    path.display(),
                    export.realm(),
                    export.realm()
                )),
                Err(error) => exports.failed.push(format!("{}: {error}", path.display())),
            }
        }
        exports.all.retain(|export| config.has_realm(export.realm()));
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

    /// Refuses to begin without the keys of a realm: they would be rejected, as if somebody had made them up.
    pub(crate) fn check_complete(
        &self,
        realms: impl IntoIterator<Item = Realm>,
        follow: &FollowConfig,
        key: &EdgeKey,
    ) -> Result<(), EdgeError> {
        let has = |realm: &Realm| self.all.iter().any(|export| export.realm() == *realm);
        match realms.into_iter().find(|realm| !has(realm)) {
            None => Ok(()),
            Some(realm) => Err(EdgeError::NoExport {
                realm,
                folder: follow.exports.clone(),
                recipient: key.recipient(),
                failed: self.failed.iter().map(|failed| format!(" ({failed})")).collect(),
            }),
        }
    }

    /// The keyring of all of them.
    pub(crate) fn keyring(&self, id: KeyringId) -> ExportedKeyring {
        ExportedKeyring::new(id, self.all.iter().map(Arc::as_ref))
    }
}

fn open(path: &Path, follow: &FollowConfig, key: &EdgeKey) -> Result<RealmExport, String> {
    let bytes = read_regular_file(path, MAX_EXPORT).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    RealmExport::open(&text, key, follow.keyring_id, &follow.public_key).map_err(|error| error.to_string())
}

/// The realms that an edge verifies.
pub(crate) fn realms_of(config: &Config) -> impl Iterator<Item = Realm> + '_ {
    config.realms.keys().filter_map(|name| name.parse().ok())
}
