//! Where a gate's keys come from: the exports of an edge, or the keyring itself.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use super::{GateError, Settings, keyring::GateKeyring, settings::Follow};
use crate::{
    keyring::{EdgeKey, EdgeMac, Exports},
    shared::SharedVerifier,
    verifier::Verifier,
};

pub(super) enum Keys {
    Keyring(Box<GateKeyring>),
    /// The key stays in memory: a worker without permissions opens new exports by it.
    Exports {
        key: Box<EdgeKey>,
        before: Mutex<Exports>,
    },
}

/// A file, and what tells that it changed.
pub(super) type KeyFileStamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// What reading the files came to.
pub(super) struct Read {
    /// Why a part was not used.
    pub(super) failed: Option<String>,
    /// Whether key sources have to be asked for something.
    pub(super) wants_sources: bool,
}

impl Keys {
    /// Reads the gate's own key, where it has one.
    pub(super) fn open(settings: &Settings) -> Result<Self, GateError> {
        match (&settings.keyring, &settings.follow) {
            (Some(keyring), _) => Ok(Keys::Keyring(Box::new(GateKeyring::new(keyring.clone())))),
            (None, Some(follow)) => {
                let text = settings.files.secret(&settings.folder, &follow.key)?;
                let key = EdgeKey::parse(&text).map_err(|error| GateError::Key { name: follow.key.clone(), error })?;
                Ok(Keys::Exports { key: Box::new(key), before: Mutex::default() })
            }
            (None, None) => Err(no_keys()),
        }
    }

    /// What authenticates the state on disk.
    pub(super) fn mac(&self, settings: &Settings, follow: &Follow) -> Result<EdgeMac, GateError> {
        match self {
            Keys::Exports { key, .. } => Ok(key.mac(follow.keyring_id)),
            Keys::Keyring(keyring) => keyring.state_mac(settings, follow),
        }
    }

    /// Loads the keys of every realm for the first time. An export that cannot be used is told in the text; a version
    /// of the keyring without its key is an error.
    pub(super) fn load(&self, settings: &Settings) -> Result<(Verifier, Option<String>), GateError> {
        match (self, &settings.follow) {
            (Keys::Keyring(keyring), _) => Ok((keyring.load(settings)?, None)),
            (Keys::Exports { key, before }, Some(follow)) => load_exports(settings, follow, key, before),
            (Keys::Exports { .. }, None) => Err(no_keys()),
        }
    }

    /// Reads the files again and puts them in force, with the keys that are loaded. It asks no key source. An export
    /// that cannot be used leaves in place what was loaded before.
    pub(super) fn read(&self, settings: &Settings, verifier: &SharedVerifier) -> Result<Read, GateError> {
        match (self, &settings.follow) {
            (Keys::Keyring(keyring), _) => keyring.read(settings, verifier),
            (Keys::Exports { key, before }, Some(follow)) => {
                let (loaded, failed) = load_exports(settings, follow, key, before)?;
                verifier.store(loaded);
                Ok(Read { failed, wants_sources: false })
            }
            (Keys::Exports { .. }, None) => Err(no_keys()),
        }
    }

    /// Asks key sources for what is missing. What they do not serve is an error, and everything else is in force. `note`
    /// hears all that failed, or nothing, before that. Once it `is_stopped` it changes nothing.
    pub(super) fn ask(
        &self,
        settings: &Settings,
        verifier: &SharedVerifier,
        is_stopped: impl Fn() -> bool,
        note: impl Fn(Option<String>),
    ) -> Result<(), GateError> {
        match self {
            Keys::Keyring(keyring) => keyring.ask(settings, verifier, is_stopped, note),
            Keys::Exports { .. } => Ok(()),
        }
    }

    /// Returns whether a version that opens is without its key.
    pub(super) fn lacks_keys(&self) -> bool {
        matches!(self, Keys::Keyring(keyring) if keyring.lacks_keys())
    }

    /// The files whose content counts, as they are now.
    pub(super) fn look(&self, settings: &Settings) -> KeyFileStamps {
        let files = match (self, &settings.follow) {
            (Keys::Keyring(keyring), _) => vec![keyring.path(settings)],
            (Keys::Exports { .. }, Some(follow)) => Exports::files(&settings.folder.join(&follow.exports)),
            (Keys::Exports { .. }, None) => Vec::new(),
        };
        let of = |path: &Path| path.metadata().and_then(|found| Ok((found.modified()?, found.len()))).ok();
        files.into_iter().map(|path| (of(&path), path)).map(|(seen, path)| (path, seen)).collect()
    }
}

fn no_keys() -> GateError {
    GateError::Settings("there are no keys".to_owned())
}

fn load_exports(
    settings: &Settings,
    follow: &Follow,
    key: &EdgeKey,
    before: &Mutex<Exports>,
) -> Result<(Verifier, Option<String>), GateError> {
    let folder = settings.folder.join(&follow.exports);
    let (trusted, has_realm) =
        ((follow.keyring_id, &follow.public_key), |realm| settings.realms().any(|one| one == realm));
    let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
    let mut exports = Exports::read(&folder, key, trusted, has_realm, before.clone());
    let prefix = format!("{}/", follow.exports.trim_end_matches('/'));
    let handed = settings.files.iter().filter(|(name, _)| name.starts_with(&prefix));
    let handed: Vec<_> = handed
        .map(|(name, bytes)| {
            (name.to_owned(), String::from_utf8(bytes.to_vec()).map_err(|_| "it is not UTF-8".to_owned()))
        })
        .collect();
    if !handed.is_empty() {
        exports = Exports::open(handed, key, trusted, has_realm, exports);
    }
    if let Some(realm) = exports.lacking(settings.realms()) {
        let failed = exports.failed().iter().map(|failed| format!(" ({failed})")).collect();
        return Err(GateError::NoExport { realm, folder, recipient: key.recipient(), failed });
    }
    let failed = Some(exports.failed().join("; ")).filter(|failed| !failed.is_empty());
    let verifier = Verifier::of_exports(&exports.keyring(follow.keyring_id));
    *before = exports;
    Ok((verifier, failed))
}
