//! The loaded keyring: one seal key for each realm and each version that opens. Sources are asked here, at load, and never
//! for an API key.

use std::sync::Arc;

use super::{KeyCheckValue, KeyVersion, KeyringDocument, KeyringError, KeyringId, State, VersionRecord};
use crate::{
    Realm, SourceUri,
    derive::key_check_info,
    seal::SealKey,
    source::{KeySource, Sources},
};

/// A keyring with its seal keys, for one [`Issuer`](crate::Issuer) and any number of
/// [`Verifier`](crate::Verifier)s. Immutable: a changed document is loaded anew.
#[derive(Clone, Debug)]
pub struct Keyring {
    id: KeyringId,
    serial: u64,
    active: Option<KeyVersion>,
    served: Vec<Served>,
    pub(crate) realms: Arc<[RealmKeys]>,
}

/// Which source served a version's master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
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
    pub(crate) versions: Vec<Loaded>,
}

/// One version of one realm: its record, and its key unless it must not be used.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) number: u32,
    /// Unix seconds; none for no limit.
    pub(crate) verify_until: Option<u64>,
    pub(crate) key: Option<Arc<SealKey>>,
}

/// The seal keys of one version, in the order of the realms, and where they came from.
struct Derived {
    keys: Vec<Arc<SealKey>>,
    served: Served,
}

impl Keyring {
    /// Derives the seal keys of `realms` for every version that opens. Each version's sources are tried in order, and
    /// each is held to the key-check value on record.
    pub fn load(document: &KeyringDocument, sources: &Sources, realms: &[Realm]) -> Result<Self, KeyringError> {
        let (keyring, mut failed) =
            Self::assemble(document, realms, |record| derive(document, record, sources, realms));
        if failed.is_empty() { Ok(keyring) } else { Err(failed.swap_remove(0)) }
    }

    /// The keyring of a changed document, for a process in service. Keys that are at hand are kept: their sources are asked
    /// only where `ask_again`, and one that does not serve then takes nothing away. So a compromise takes effect whatever
    /// else is out of reach. What could not be loaded is told; a new version among it accepts nothing yet.
    pub fn reload(
        &self,
        document: &KeyringDocument,
        sources: &Sources,
        realms: &[Realm],
        ask_again: bool,
    ) -> (Self, Vec<KeyringError>) {
        let mut kept = Vec::new();
        let (keyring, mut failed) = Self::assemble(document, realms, |record| {
            let known = self.known(document, record, realms);
            if let Some((known, true)) =
                known.as_ref().map(|(known, same_sources)| (known, *same_sources && !ask_again))
            {
                return Ok(Derived { keys: known.keys.clone(), served: known.served.clone() });
            }
            derive(document, record, sources, realms).or_else(|error| match known {
                Some((known, _)) => {
                    kept.push(error);
                    Ok(known)
                }
                None => Err(error),
            })
        });
        failed.append(&mut kept);
        (keyring, failed)
    }

    /// The keys of `record` as they are loaded here, if they are the same ones; and whether its sources are too.
    fn known(&self, document: &KeyringDocument, record: &VersionRecord, realms: &[Realm]) -> Option<(Derived, bool)> {
        let mut same_sources = true;
        let keys = realms.iter().map(|realm| {
            let loaded = self.realm(*realm)?.version(record.number.number())?;
            let before = &loaded.record;
            same_sources &= before.sources == record.sources;
            let same = (before.suite, before.key_check_value) == (record.suite, record.key_check_value);
            loaded.key.clone().filter(|_| same && self.id == document.id)
        });
        let keys = keys.collect::<Option<Vec<_>>>()?;
        let served = self.served.iter().find(|served| served.version == record.number)?;
        Some((Derived { keys, served: Served { failed: Vec::new(), ..served.clone() } }, same_sources))
    }

    fn assemble(
        document: &KeyringDocument,
        realms: &[Realm],
        mut derive: impl FnMut(&VersionRecord) -> Result<Derived, KeyringError>,
    ) -> (Self, Vec<KeyringError>) {
        let (mut served, mut failed) = (Vec::new(), Vec::new());
        let mut loaded: Vec<RealmKeys> =
            realms.iter().map(|realm| RealmKeys { realm: *realm, versions: Vec::new() }).collect();
        for record in &document.versions {
            let mut keys = Vec::new();
            if record.state.opens() {
                match derive(record) {
                    Ok(derived) => {
                        served.push(derived.served);
                        keys = derived.keys;
                    }
                    Err(error) => failed.push(error),
                }
            }
            let shared = Arc::new(record.clone());
            let verify_until = record.verify_until.map(|time| time.as_second().try_into().unwrap_or(0));
            let mut keys = keys.into_iter();
            for realm in &mut loaded {
                let (record, number) = (Arc::clone(&shared), record.number.number());
                realm.versions.push(Loaded { record, number, verify_until, key: keys.next() });
            }
        }
        let active = document.active().map(|record| record.number);
        let keyring = Keyring { id: document.id, serial: document.serial, active, served, realms: loaded.into() };
        (keyring, failed)
    }

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
    pub fn served(&self) -> &[Served] {
        &self.served
    }

    /// The realms it was loaded for.
    pub fn realms(&self) -> impl Iterator<Item = Realm> + '_ {
        self.realms.iter().map(|keys| keys.realm)
    }

    /// The keys of one realm.
    pub(crate) fn realm(&self, realm: Realm) -> Option<&RealmKeys> {
        self.realms.iter().find(|keys| keys.realm == realm)
    }
}

impl RealmKeys {
    #[inline]
    pub(crate) fn version(&self, number: u32) -> Option<&Loaded> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub(crate) fn active(&self) -> Option<&Loaded> {
        self.versions.iter().find(|version| version.record.state == State::Active)
    }

    /// The same versions, without the keys of these.
    pub(crate) fn without(&self, refused: &[KeyVersion]) -> Self {
        let versions = self.versions.iter().map(|version| {
            let key = version.key.clone().filter(|_| !refused.contains(&version.record.number));
            Loaded { key, ..version.clone() }
        });
        RealmKeys { realm: self.realm, versions: versions.collect() }
    }
}

impl Loaded {
    /// The key, if its version still opens at `now`, in Unix seconds.
    #[inline]
    pub(crate) fn key_at(&self, now: u64) -> Option<&SealKey> {
        self.key.as_deref().filter(|_| self.verify_until.is_none_or(|until| now < until))
    }
}

/// Asks the version's sources in order until one yields all keys.
fn derive(
    document: &KeyringDocument,
    record: &VersionRecord,
    sources: &Sources,
    realms: &[Realm],
) -> Result<Derived, KeyringError> {
    let mut failed = Vec::new();
    for candidate in &record.sources {
        let opened = document
            .open(record.number, candidate, sources)
            .and_then(|source| seal_keys(document.id, record, realms, &candidate.uri, &*source));
        match opened {
            Ok(keys) => {
                let served = Served { version: record.number, source: candidate.uri.clone(), failed };
                return Ok(Derived { keys, served });
            }
            Err(error) => failed.push(error),
        }
    }
    Err(failed.pop().unwrap_or(KeyringError::NoSource(record.number)))
}

/// The seal keys of `realms`, if the source's key is the one on record.
fn seal_keys(
    keyring: KeyringId,
    record: &VersionRecord,
    realms: &[Realm],
    uri: &SourceUri,
    source: &dyn KeySource,
) -> Result<Vec<Arc<SealKey>>, KeyringError> {
    let (version, suite) = (record.number, record.suite);
    let seal_infos = realms.iter().map(|realm| SealKey::info(keyring, suite, version, *realm));
    let infos: Vec<Vec<u8>> = [key_check_info(keyring, version)].into_iter().chain(seal_infos).collect();
    let expanded = source.expand_all(&infos).map_err(|error| KeyringError::Source { version, error })?;
    let mut expanded = expanded.iter();
    let found = expanded.next().map(KeyCheckValue::of).ok_or(KeyringError::NoSource(version))?;
    if found != record.key_check_value {
        return Err(KeyringError::wrong_key(record, uri, found));
    }
    let keys = realms.iter().zip(expanded);
    Ok(keys.map(|(realm, expanded)| Arc::new(SealKey::new(expanded, suite, version, *realm))).collect())
}
