//! The loaded keyring: one seal key for each realm and each version that opens. Sources are asked here, at load, and never
//! for an API key.

use std::sync::Arc;

use super::{KeyVersion, KeyringDocument, KeyringError, KeyringId, State, VersionRecord};
use crate::{
    Realm, SourceUri,
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
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) number: u32,
    /// Unix seconds; none for no limit.
    pub(crate) verify_until: Option<u64>,
    pub(crate) key: Option<SealKey>,
}

impl Keyring {
    /// Derives the seal keys of `realms` for every version that opens. Each version's sources are tried in order, and
    /// each is held to the key-check value on record.
    pub fn load(document: &KeyringDocument, sources: &Sources, realms: &[Realm]) -> Result<Self, KeyringError> {
        let mut served = Vec::new();
        let mut opened = Vec::new();
        for record in &document.versions {
            let mut source = None;
            if record.state.opens() {
                let (opened, from) = open_any(document, record, sources)?;
                served.push(from);
                source = Some(opened);
            }
            opened.push((Arc::new(record.clone()), source));
        }
        let realms = realms.iter().map(|realm| {
            let versions = opened.iter().map(|(record, source)| {
                let key = source.as_ref().map(|source| seal_key(document.id, record, *realm, &**source)).transpose()?;
                let verify_until = record.verify_until.map(|time| time.as_second().try_into().unwrap_or(0));
                Ok(Loaded { record: Arc::clone(record), number: record.number.number(), verify_until, key })
            });
            Ok(RealmKeys { realm: *realm, versions: versions.collect::<Result<_, KeyringError>>()? })
        });
        Ok(Keyring {
            id: document.id,
            serial: document.serial,
            active: document.active().map(|record| record.number),
            realms: realms.collect::<Result<_, KeyringError>>()?,
            served,
        })
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
}

impl Loaded {
    /// The key, if its version still opens at `now`, in Unix seconds.
    #[inline]
    pub(crate) fn key_at(&self, now: u64) -> Option<&SealKey> {
        self.key.as_ref().filter(|_| self.verify_until.is_none_or(|until| now < until))
    }
}

fn open_any(
    document: &KeyringDocument,
    record: &VersionRecord,
    sources: &Sources,
) -> Result<(Box<dyn KeySource>, Served), KeyringError> {
    let mut failed = Vec::new();
    for candidate in &record.sources {
        let opened = document.open(record.number, candidate, sources).and_then(|source| {
            let found = document.check_value(&*source, record.number)?;
            if found == record.key_check_value {
                return Ok(source);
            }
            Err(KeyringError::wrong_key(record, &candidate.uri, found))
        });
        match opened {
            Ok(source) => {
                return Ok((source, Served { version: record.number, source: candidate.uri.clone(), failed }));
            }
            Err(error) => failed.push(error),
        }
    }
    Err(failed.pop().unwrap_or(KeyringError::NoSource(record.number)))
}

fn seal_key(
    keyring: KeyringId,
    record: &VersionRecord,
    realm: Realm,
    source: &dyn KeySource,
) -> Result<SealKey, KeyringError> {
    let version = record.number;
    let expanded = source
        .expand(&SealKey::info(keyring, record.suite, version, realm))
        .map_err(|error| KeyringError::Source { version, error })?;
    Ok(SealKey::new(&expanded, record.suite, version, realm))
}
