//! The loaded versions of the pepper.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use bulla::{
    SecretCheck,
    keyring::{KeyVersion, KeyringDocument, KeyringError},
    secret::{Pepper, SecretDigest},
    source::Sources,
};

use crate::config::PepperConfig;

/// All versions that stored hashes may use; the active one is for new hashes.
#[derive(Debug)]
pub(crate) struct Peppers {
    all: Vec<Pepper>,
    active: usize,
    /// Slow hashes of new keys are made one at a time: their memory is outside the budget of checks.
    one_at_a_time: Mutex<()>,
}

impl Peppers {
    /// Asks the configured sources.
    pub(crate) fn open(
        config: &PepperConfig,
        sources: &Sources,
        document: &KeyringDocument,
    ) -> Result<Self, KeyringError> {
        let versions = config.versions().unwrap_or_default();
        let active = versions.iter().position(|(version, _)| *version == config.active).unwrap_or(0);
        let open = |(version, uri)| {
            // A thief of that master key would have the pepper as well.
            Pepper::refuse_master_key(uri, sources, version, document)?;
            Pepper::open(uri, sources, document.id(), version)
        };
        // All at once: one that does not answer takes its time.
        let all: Result<Vec<_>, _> = thread::scope(|scope| {
            let asked: Vec<_> = versions.into_iter().map(|version| scope.spawn(move || open(version))).collect();
            asked.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        Ok(Peppers { all: all?, active, one_at_a_time: Mutex::new(()) })
    }

    /// The version for new hashes.
    pub(crate) fn active(&self) -> &Pepper {
        &self.all[self.active]
    }

    /// Waits for a turn to make a slow hash.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version, if it is loaded.
    pub(crate) fn find(&self, version: KeyVersion) -> Option<&Pepper> {
        self.all.iter().find(|pepper| pepper.version() == version)
    }

    /// The digests of the presented secret half, one under each version.
    pub(crate) fn digests(&self, check: &SecretCheck) -> Vec<SecretDigest> {
        self.all.iter().map(|pepper| check.digest(pepper)).collect()
    }
}
