//! Loading: the sources of all versions are asked at once. A key that is loaded stays loaded, even if its source fails.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{
    KeyCheckValue, KeyVersion, Keyring, KeyringDocument, KeyringError, KeyringId, RealmKeys, SourceReport,
    VersionRecord, loaded::LoadedVersion,
};
use crate::{
    derive::DerivedKey,
    labels,
    realm::Realm,
    seal::SealKey,
    source::{KeySource, SourceError, SourceErrorKind, SourceUri, Sources},
};

/// How many versions' sources are asked at the same time.
const THREADS: usize = 64;
/// How long a source that does not say for how long is left alone.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Which sources a [`Keyring::reload`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reload {
    /// Those of versions that are not loaded, or not from a source that the document still names.
    Missing,
    /// The same, of this version alone.
    Version(KeyVersion),
    /// All of them. Where the keys are loaded, a source is asked whether it still has the right one.
    All,
}

/// What is known of one version: a key for each realm, as far as there is one, and the source that served all of them.
#[derive(Clone)]
struct VersionKeys {
    keys: Vec<Option<Arc<SealKey>>>,
    served: Option<SourceReport>,
}

/// One version whose source is to be asked: its place in the document, and what is known of it.
type Job<'a> = (usize, &'a VersionRecord, VersionKeys);

impl Keyring {
    /// A keyring without any key, to begin with where a load may have to be tried again: [`Keyring::reload`] keeps what
    /// it got.
    pub fn empty(id: KeyringId) -> Self {
        Keyring { id, serial: 0, active: None, served: Vec::new(), unloaded: Vec::new(), realms: Arc::new([]) }
    }

    /// Derives the seal keys of `realms` for every version that opens. All versions' sources are asked at once, those
    /// of one version in order, and each is held to the key-check value on record.
    pub fn load(document: &KeyringDocument, sources: &Sources, realms: &[Realm]) -> Result<Self, KeyringError> {
        let (keyring, mut failed) = Self::empty(document.id).reload(document, sources, realms, Reload::Missing);
        if failed.is_empty() { Ok(keyring) } else { Err(failed.swap_remove(0)) }
    }

    /// The keyring of a changed document, with the keys that `loaded` has. No source is asked, so a compromise takes
    /// effect at once, whatever a source does; versions and realms that have no key yet accept nothing until a
    /// [`Keyring::reload`] got one.
    pub fn follow(loaded: &[&Keyring], document: &KeyringDocument, realms: &[Realm]) -> Self {
        let known = document.versions.iter().map(|record| VersionKeys::of(loaded, document.id, record, realms));
        Self::assemble(document, realms, known.collect())
    }

    /// Loads what is missing for `document`, and asks the sources that `ask` names. A source that does not serve takes
    /// no key away that is loaded. Returns the errors of the versions that could not be loaded.
    pub fn reload(
        &self,
        document: &KeyringDocument,
        sources: &Sources,
        realms: &[Realm],
        ask: Reload,
    ) -> (Self, Vec<KeyringError>) {
        let mut known: Vec<VersionKeys> =
            document.versions.iter().map(|record| VersionKeys::of(&[self], document.id, record, realms)).collect();
        let is_asked = |record: &VersionRecord, known: &VersionKeys| match ask {
            Reload::All => true,
            Reload::Missing => known.served.is_none(),
            Reload::Version(version) => known.served.is_none() && version == record.number,
        };
        let jobs = document.versions.iter().enumerate().filter_map(|(at, record)| {
            let asked = record.state.opens() && is_asked(record, &known[at]);
            asked.then(|| (at, record, known[at].clone()))
        });
        let mut failed = Vec::new();
        for (at, answered, error) in ask_all(document, sources, realms, jobs.collect()) {
            known[at] = answered;
            failed.extend(error);
        }
        (Self::assemble(document, realms, known), failed)
    }

    fn assemble(document: &KeyringDocument, realms: &[Realm], known: Vec<VersionKeys>) -> Self {
        let (mut served, mut unloaded) = (Vec::new(), Vec::new());
        let mut loaded: Vec<RealmKeys> =
            realms.iter().map(|realm| RealmKeys { realm: *realm, versions: Vec::new() }).collect();
        for (record, known) in document.versions.iter().zip(known) {
            let mut keys = Vec::new();
            if record.state.opens() {
                match known.served {
                    Some(one) => served.push(one),
                    None => unloaded.push(record.number),
                }
                keys = known.keys;
            }
            let shared = Arc::new(record.clone());
            let mut keys = keys.into_iter();
            for realm in &mut loaded {
                let (number, verify_until) = (record.number.number(), record.verify_until);
                let record = Arc::clone(&shared);
                realm.versions.push(LoadedVersion { record, number, verify_until, key: keys.next().flatten() });
            }
        }
        loaded.iter_mut().for_each(RealmKeys::sort);
        loaded.sort_by_key(|keys| keys.realm);
        let active = document.active().map(|record| record.number);
        Keyring { id: document.id, serial: document.serial, active, served, unloaded, realms: loaded.into() }
    }
}

impl VersionKeys {
    /// What the first of `loaded` that has it knows of `record`: the same key of the same keyring. A source that is not
    /// on record any more serves no longer.
    fn of(loaded: &[&Keyring], id: KeyringId, record: &VersionRecord, realms: &[Realm]) -> Self {
        let loaded = || loaded.iter().filter(|keyring| keyring.id == id);
        let keys = realms.iter().enumerate().map(|(at, realm)| loaded().find_map(|one| one.key(at, *realm, record)));
        let keys: Vec<_> = keys.collect();
        let on_record = |served: &&SourceReport| {
            served.version == record.number && record.sources.iter().any(|source| source.uri == served.source)
        };
        let served = loaded().find_map(|keyring| keyring.served.iter().find(on_record));
        let served = served.filter(|_| keys.iter().all(Option::is_some));
        VersionKeys { keys, served: served.map(|served| SourceReport { failed: Vec::new(), ..served.clone() }) }
    }
}

impl Keyring {
    /// The key of `record` for `realm`, which is at this place as a rule.
    fn key(&self, at: usize, realm: Realm, record: &VersionRecord) -> Option<Arc<SealKey>> {
        let here = self.realms.get(at).filter(|keys| keys.realm == realm);
        let loaded = here.or_else(|| self.realm(realm))?.version(record.number.number())?;
        let before = &loaded.record;
        let same = (before.suite, before.key_check_value) == (record.suite, record.key_check_value);
        loaded.key.clone().filter(|_| same)
    }
}

/// Asks for all versions at once, on this thread and others. Returns the outcomes in the order of the document.
fn ask_all(
    document: &KeyringDocument,
    sources: &Sources,
    realms: &[Realm],
    jobs: Vec<Job<'_>>,
) -> Vec<(usize, VersionKeys, Option<KeyringError>)> {
    let others = jobs.len().min(THREADS).saturating_sub(1);
    let (jobs, done) = (Mutex::new(jobs.into_iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((at, record, mut known)) = job else { return };
            let error = ask(document, record, sources, realms, &mut known).err();
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, known, error));
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            // Where there is no thread the others do its work.
            let _ = thread::Builder::new().name("key version".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, ..)| *at);
    done
}

/// Asks the version's sources in order until one yields all keys that are missing.
fn ask(
    document: &KeyringDocument,
    record: &VersionRecord,
    sources: &Sources,
    realms: &[Realm],
    known: &mut VersionKeys,
) -> Result<(), KeyringError> {
    let mut failed = Vec::new();
    for candidate in &record.sources {
        let opened = document.open(record.number, candidate, sources);
        let question = Question { keyring: document.id, record, uri: &candidate.uri, limit: sources.limit() };
        let make = |key: &DerivedKey, realm| Arc::new(SealKey::new(key, record.suite, record.number, realm));
        match opened.and_then(|source| question.fill(&*source, realms, &mut known.keys, make)) {
            Ok(()) => {
                known.served = Some(SourceReport { version: record.number, source: candidate.uri.clone(), failed });
                return Ok(());
            }
            Err(error) => failed.push(error),
        }
    }
    Err(failed.pop().unwrap_or(KeyringError::NoSource(record.number)))
}

/// One realm's derived key of a version, from the first of its sources that serves.
#[cfg(feature = "follow")]
pub(super) fn derive_one(
    document: &KeyringDocument,
    record: &VersionRecord,
    sources: &Sources,
    realm: Realm,
) -> Result<DerivedKey, KeyringError> {
    let (mut failed, copy) = (None, |key: &DerivedKey, _| DerivedKey::new(zeroize::Zeroizing::new(*key.bytes())));
    for candidate in &record.sources {
        let opened = document.open(record.number, candidate, sources);
        let question = Question { keyring: document.id, record, uri: &candidate.uri, limit: sources.limit() };
        let mut key = [None];
        let filled = opened.and_then(|source| question.fill(&*source, &[realm], &mut key, copy));
        match (filled, key) {
            (Ok(()), [Some(key)]) => return Ok(key),
            (Ok(()), _) => {}
            (Err(error), _) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or(KeyringError::NoSource(record.number)))
}

/// What one source is asked for.
struct Question<'a> {
    keyring: KeyringId,
    record: &'a VersionRecord,
    uri: &'a SourceUri,
    limit: Duration,
}

impl Question<'_> {
    /// Fills in the keys that are missing, if the source's key is the one on record. Keys that it got before a failure
    /// stay.
    fn fill<K>(
        &self,
        source: &dyn KeySource,
        realms: &[Realm],
        keys: &mut [Option<K>],
        make: impl Fn(&DerivedKey, Realm) -> K,
    ) -> Result<(), KeyringError> {
        let (number, suite) = (self.record.number, self.record.suite);
        let missing: Vec<usize> = (0..keys.len()).filter(|at| keys[*at].is_none()).collect();
        let (mut left, mut checked) = (missing.as_slice(), false);
        let (at_once, mut left_alone) = (source.at_once().max(1), Duration::ZERO);
        while !checked || !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(at_once - usize::from(!checked)));
            let check = (!checked).then(|| labels::key_check(self.keyring, number));
            let infos = now.iter().map(|at| SealKey::info(self.keyring, suite, number, realms[*at]));
            let infos: Vec<Vec<u8>> = check.into_iter().chain(infos).collect();
            let expanded = match source.expand_all(&infos) {
                Ok(expanded) => expanded,
                Err(error) if self.waits(&error, &mut left_alone) => continue,
                Err(error) => return Err(KeyringError::Source { version: number, error }),
            };
            let mut expanded = expanded.iter();
            if !checked {
                self.check(expanded.next())?;
            }
            for (at, expanded) in now.iter().zip(expanded) {
                keys[*at] = Some(make(expanded, realms[*at]));
            }
            (left, checked, left_alone) = (later, true, Duration::ZERO);
        }
        Ok(())
    }

    fn check(&self, expanded: Option<&DerivedKey>) -> Result<(), KeyringError> {
        let found = expanded.map(KeyCheckValue::of).ok_or(KeyringError::NoSource(self.record.number))?;
        if found == self.record.key_check_value {
            Ok(())
        } else {
            Err(KeyringError::wrong_key(self.record, self.uri, found))
        }
    }

    /// Leaves a source alone that is busy, for as long as it says. Not where that takes longer than an answer may.
    fn waits(&self, error: &SourceError, left_alone: &mut Duration) -> bool {
        let pause = error.retry_after().unwrap_or(RETRY_DELAY).max(RETRY_DELAY / 10);
        *left_alone += pause;
        let waits = error.kind() == SourceErrorKind::Busy && *left_alone <= self.limit;
        if waits {
            thread::sleep(pause);
        }
        waits
    }
}
