//! Where a gate's keys come from: the exports of an edge, or the keyring itself.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    GateError, Settings,
    settings::{Follow, KeyringTable},
};
use crate::{
    keyring::{EdgeKey, EdgeMac, Exports, Keyring, KeyringDocument, KeyringError},
    labels,
    realm::Realm,
    source::{EncryptionContext, Sources},
    verifier::Verifier,
};

/// More than a keyring of ten thousand versions has.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

pub(super) enum Keys {
    Keyring(KeyringTable),
    /// The key stays in memory: a worker without permissions opens new exports by it.
    Exports {
        key: Box<EdgeKey>,
        before: Mutex<Exports>,
    },
}

/// A file, and what tells that it changed.
pub(super) type Seen = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

impl Keys {
    /// Reads the gate's own key, where it has one.
    pub(super) fn open(settings: &Settings) -> Result<Self, GateError> {
        match (&settings.keyring, &settings.follow) {
            (Some(keyring), _) => Ok(Keys::Keyring(keyring.clone())),
            (None, Some(follow)) => {
                let text = settings.files.secret(&settings.folder, &follow.key)?;
                let key = EdgeKey::parse(&text).map_err(|error| GateError::Key { name: follow.key.clone(), error })?;
                Ok(Keys::Exports { key: Box::new(key), before: Mutex::default() })
            }
            (None, None) => Err(GateError::Settings("there are no keys".to_owned())),
        }
    }

    /// What authenticates the state on disk.
    pub(super) fn mac(&self, settings: &Settings, follow: &Follow) -> Result<EdgeMac, GateError> {
        match self {
            Keys::Exports { key, .. } => Ok(key.mac(follow.keyring_id)),
            Keys::Keyring(table) => {
                let context = EncryptionContext { keyring: follow.keyring_id, version: None, wrapped: None };
                let source = sources(settings, table).open_configured(&table.mac_source, context);
                let key = source.and_then(|source| source.expand(&labels::edge_state(follow.keyring_id)));
                Ok(EdgeMac::of(key.map_err(KeyringError::MacSource)?))
            }
        }
    }

    /// Loads the keys of every realm. An export that cannot be used leaves in place what was loaded before; the
    /// text says why.
    pub(super) fn load(&self, settings: &Settings) -> Result<(Verifier, Option<String>), GateError> {
        match (self, &settings.follow) {
            (Keys::Keyring(keyring), _) => Ok((load_keyring(settings, keyring)?, None)),
            (Keys::Exports { key, before }, Some(follow)) => load_exports(settings, follow, key, before),
            (Keys::Exports { .. }, None) => Err(GateError::Settings("there are no keys".to_owned())),
        }
    }

    /// The files whose content counts, as they are now.
    pub(super) fn look(&self, settings: &Settings) -> Seen {
        let files = match (self, &settings.follow) {
            (Keys::Keyring(keyring), _) => vec![settings.folder.join(keyring.source.rest())],
            (Keys::Exports { .. }, Some(follow)) => Exports::files(&settings.folder.join(&follow.exports)),
            (Keys::Exports { .. }, None) => Vec::new(),
        };
        let of = |path: &Path| path.metadata().and_then(|found| Ok((found.modified()?, found.len()))).ok();
        files.into_iter().map(|path| (of(&path), path)).map(|(seen, path)| (path, seen)).collect()
    }
}

fn sources(settings: &Settings, table: &KeyringTable) -> Sources {
    Sources::new(&settings.folder).trusting(&table.trusted_sources).handing(settings.files.clone())
}

fn load_keyring(settings: &Settings, table: &KeyringTable) -> Result<Verifier, GateError> {
    if table.source.scheme() != "file" {
        return Err(GateError::Settings("keyring.source must be a file: write `file:keyring.toml`".to_owned()));
    }
    let sources = sources(settings, table);
    let text = settings.files.regular(&settings.folder, table.source.rest(), MAX_DOCUMENT);
    let text = text.and_then(|text| String::from_utf8(text).map_err(io::Error::other));
    let text = text.map_err(|error| GateError::Read { path: settings.folder.join(table.source.rest()), error })?;
    let document = KeyringDocument::parse(&text, &table.mac_source, &sources)?;
    if let Some(follow) = settings.follow.as_ref().filter(|follow| follow.keyring_id != document.id()) {
        return Err(GateError::Settings(format!(
            "follow.keyring_id is {}, and the keyring is {}: follow the feed of this one",
            follow.keyring_id,
            document.id()
        )));
    }
    let realms: Vec<Realm> = settings.realms().collect();
    let secret: Vec<Realm> = settings.realms.iter().filter(|one| one.requires_secret).map(|one| one.realm).collect();
    Ok(Verifier::new(&Keyring::load(&document, &sources, &realms)?).requiring_secrets(&secret))
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
