//! The loaded keyring: one seal key for each realm and each version that opens. Sources are asked here, at load, and
//! never for an API key.

use std::sync::Arc;

use super::{KeyVersion, KeyringError, KeyringId, VersionRecord, VersionState};
use crate::{realm::Realm, seal::SealKey, source::SourceUri};

/// A keyring with its seal keys, for one [`Issuer`](crate::issuer::Issuer) and any number of
/// [`Verifier`](crate::verifier::Verifier)s. Immutable: a changed document is loaded anew.
#[derive(Clone, Debug)]
pub struct Keyring {
    pub(super) id: KeyringId,
    pub(super) serial: u64,
    pub(super) active: Option<KeyVersion>,
    pub(super) served: Vec<SourceReport>,
    pub(super) unloaded: Vec<KeyVersion>,
    /// In the order of their names.
    pub(crate) realms: Arc<[RealmKeys]>,
}

/// Which source served a version's master key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceReport {
    /// The version.
    pub version: KeyVersion,
    /// The source that served.
    pub source: SourceUri,
    /// What those before it in the list said.
    pub failed: Vec<KeyringError>,
}

/// All versions of one realm.
#[derive(Debug)]
pub(crate) struct RealmKeys {
    pub(crate) realm: Realm,
    /// In the order of their numbers.
    pub(crate) versions: Vec<LoadedVersion>,
}

/// One version of one realm: its record, and its key unless it must not be used.
#[derive(Clone, Debug)]
pub(crate) struct LoadedVersion {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) number: u32,
    /// Unix seconds; none for no limit.
    pub(crate) verify_until: Option<u64>,
    pub(crate) key: Option<Arc<SealKey>>,
}

impl Keyring {
    /// The keyring's id.
    pub fn id(&self) -> KeyringId {
        self.id
    }

    /// The serial number of the document it was loaded from.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The version that seals, where there is one.
    pub fn active(&self) -> Option<KeyVersion> {
        self.active
    }

    /// Which source served each version that opens.
    pub fn source_reports(&self) -> &[SourceReport] {
        &self.served
    }

    /// Versions that ought to open and have no source that served, or not for every realm: those keys that are there
    /// open.
    pub fn unloaded(&self) -> &[KeyVersion] {
        &self.unloaded
    }

    /// The realms it was loaded for.
    pub fn realms(&self) -> impl Iterator<Item = Realm> + '_ {
        self.realms.iter().map(|keys| keys.realm)
    }

    /// The keys of one realm.
    pub(crate) fn realm(&self, realm: Realm) -> Option<&RealmKeys> {
        RealmKeys::find(&self.realms, &realm)
    }
}

impl RealmKeys {
    /// Those of this realm, among all in the order of their names.
    #[inline]
    pub(crate) fn find<'r>(all: &'r [RealmKeys], realm: &Realm) -> Option<&'r RealmKeys> {
        // Comparing is dearer than stepping on, and realms are few.
        if all.len() <= 8 {
            return all.iter().find(|keys| keys.realm == *realm);
        }
        all.binary_search_by(|keys| keys.realm.cmp(realm)).ok().map(|at| &all[at])
    }

    /// Brings the versions into the order of their numbers, which a document has them in anyway.
    pub(super) fn sort(&mut self) {
        self.versions.sort_by_key(|version| version.number);
    }

    #[inline]
    pub(crate) fn version(&self, number: u32) -> Option<&LoadedVersion> {
        // They are in the order of their numbers, which mostly follow one another.
        let first = self.versions.first()?.number;
        match self.versions.get(number.wrapping_sub(first) as usize) {
            Some(version) if version.number == number => Some(version),
            _ => {
                self.versions.binary_search_by_key(&number, |version| version.number).ok().map(|at| &self.versions[at])
            }
        }
    }

    pub(crate) fn active(&self) -> Option<&LoadedVersion> {
        self.versions.iter().find(|version| version.record.state == VersionState::Active)
    }

    /// The same versions, without the keys of these.
    pub(crate) fn without(&self, refused: &[KeyVersion]) -> Self {
        let versions = self.versions.iter().map(|version| {
            let key = version.key.clone().filter(|_| !refused.contains(&version.record.number));
            LoadedVersion { key, ..version.clone() }
        });
        RealmKeys { realm: self.realm, versions: versions.collect() }
    }
}

impl LoadedVersion {
    /// The key, if its version still opens at `now`, in Unix seconds.
    #[inline]
    pub(crate) fn key_at(&self, now: u64) -> Option<&SealKey> {
        self.key.as_deref().filter(|_| self.verify_until.is_none_or(|until| now < until))
    }
}
