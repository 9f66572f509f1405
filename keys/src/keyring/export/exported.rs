//! A keyring made of exports. It opens, and has no way to seal or to derive.

use std::sync::Arc;

use super::RealmExport;
use crate::{
    key_version::KeyVersion,
    keyring::{KeyringDocument, KeyringId, VersionRecord, VersionState, loaded::RealmKeys},
    realm::Realm,
};

/// The realms' keys of an edge, for [`Verifier::of_exports`](crate::verifier::Verifier::of_exports) alone: there is no
/// issuer for it.
#[derive(Clone, Debug)]
pub struct ExportedKeyring {
    id: KeyringId,
    serial: u64,
    pub(crate) realms: Arc<[RealmKeys]>,
    pub(crate) requiring: Arc<[Realm]>,
}

impl ExportedKeyring {
    /// The keys of these exports, which are of one keyring. Of two exports of one realm the one of the newer keyring
    /// counts.
    pub fn new<'e>(id: KeyringId, exports: impl IntoIterator<Item = &'e RealmExport>) -> Self {
        let mut newest: Vec<&RealmExport> = exports.into_iter().filter(|export| export.keyring() == id).collect();
        newest.sort_by_key(|export| (export.realm(), std::cmp::Reverse((export.serial(), export.created_at()))));
        newest.dedup_by_key(|export| export.realm());
        // What all of them have: an older one may lack a version.
        let serial = newest.iter().map(|export| export.serial()).min().unwrap_or_default();
        let requiring = newest.iter().filter(|export| export.requires_secret()).map(|export| export.realm()).collect();
        ExportedKeyring { id, serial, requiring, realms: newest.into_iter().map(RealmExport::realm_keys).collect() }
    }

    /// The keyring's id.
    pub fn id(&self) -> KeyringId {
        self.id
    }

    /// The serial number of the oldest keyring that an export was made from; 0 without exports.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The realms that it has keys of, in the order of their names.
    pub fn realms(&self) -> impl Iterator<Item = Realm> + '_ {
        self.realms.iter().map(|keys| keys.realm)
    }

    /// Every key of these versions that is missing here: those that open by `versions`, as the feed names them.
    pub fn missing(&self, versions: &[(KeyVersion, VersionState)]) -> Vec<(Realm, KeyVersion)> {
        let opens = || versions.iter().filter(|(_, state)| state.opens()).map(|(version, _)| *version);
        let lacks = |keys: &RealmKeys, version: KeyVersion| {
            keys.version(version.number()).is_none_or(|loaded| loaded.key.is_none())
        };
        let of_realm = |keys| opens().filter(move |version| lacks(keys, *version)).map(|version| (keys.realm, version));
        self.realms.iter().flat_map(of_realm).collect()
    }

    /// The versions as an edge knows them, as a document without sources: by the exports, with the states that the feed
    /// named last. It says what is in force, and nothing can be loaded by it.
    pub fn document(&self, serial: u64, states: &[(KeyVersion, VersionState)]) -> KeyringDocument {
        let mut versions: Vec<VersionRecord> = Vec::new();
        for keys in self.realms.iter() {
            for loaded in &keys.versions {
                if versions.iter().all(|known| known.number != loaded.record.number) {
                    versions.push((*loaded.record).clone());
                }
            }
        }
        versions.sort_by_key(|record| record.number);
        for record in &mut versions {
            if let Some((_, state)) = states.iter().find(|(version, _)| *version == record.number) {
                record.state = *state;
            }
        }
        KeyringDocument::known(self.id, serial.max(self.serial), versions)
    }
}
