//! Every purpose has a key of its own: a master key, the MAC key, each version of the pepper, and the keys that sign are
//! all different. A thief of one of them has no other one then, and a new version of the pepper is a new key.

use std::thread;

use bulla::{
    keyring::{KeyCheckValue, KeyVersion, KeyringDocument},
    source::{SourceError, SourceUri},
};

use super::{Deployment, DeploymentError};

/// A key that serves two purposes.
#[derive(Debug)]
pub(crate) struct SharedKey {
    pub(crate) error: DeploymentError,
    /// Whether it is to be put in force. An old version of the pepper is on its way out: stored hashes need it, and no
    /// other one can be put in its place.
    pub(crate) refused: bool,
}

/// A key that the configuration names for a purpose.
struct NamedKey<'c> {
    setting: &'static str,
    uri: &'c SourceUri,
    pepper: Option<Age>,
}

#[derive(Clone, Copy, PartialEq)]
enum Age {
    /// The active one, or one that is to become it.
    New,
    Old,
}

impl Deployment {
    /// Refuses a version whose master key the configuration names for another purpose, too: with it the next start
    /// would fail, or a thief of one key would have two. A source that fails refuses nothing, as it must not delay a
    /// rotation: the answer has a warning for each.
    pub(crate) fn refuse_shared_key(
        &self,
        document: &KeyringDocument,
        version: KeyVersion,
    ) -> Result<Vec<String>, DeploymentError> {
        document.refuse_mac_key(version, &self.config.keyring.mac_source, &self.sources)?;
        let mut warnings = Vec::new();
        for NamedKey { setting, uri, .. } in self.keys_of_other_purposes() {
            match document.versions_held_by(uri, &self.sources) {
                Ok(held) if held.contains(&version) => return Err(DeploymentError::SharedKey { version, setting }),
                Ok(_) => {}
                // The caller may not be told which files there are.
                Err(_) => warnings.push(format!(
                    "a key of {setting} cannot be read, and so was not compared with the version's: see `bulla doctor`"
                )),
            }
        }
        Ok(warnings)
    }

    /// Refuses to start with a key that serves two purposes.
    pub(crate) fn refuse_shared_keys(&self, document: &KeyringDocument) -> Result<(), DeploymentError> {
        let refused = self.shared_keys(document, true).into_iter().find(|shared| shared.refused);
        refused.map_or(Ok(()), |shared| Err(shared.error))
    }

    /// The keys that the configuration names for more than one purpose, and those that are master keys, too. Sources
    /// that fail are reported where they are used. The source of the MAC key is asked on demand.
    pub(crate) fn shared_keys(&self, document: &KeyringDocument, with_mac: bool) -> Vec<SharedKey> {
        let mac = NamedKey { setting: "keyring.mac_source", uri: &self.config.keyring.mac_source, pepper: None };
        let keys: Vec<NamedKey<'_>> =
            with_mac.then_some(mac).into_iter().chain(self.keys_of_other_purposes()).collect();
        // All at once: one that does not answer takes its time.
        let answers: Vec<_> = thread::scope(|scope| {
            let ask = |key: &NamedKey<'_>| document.compare_key(key.uri, &self.sources);
            let asked: Vec<_> = keys.iter().map(|key| scope.spawn(move || ask(key))).collect();
            asked.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        compare(&keys, &answers)
    }

    /// Each key, except master keys and the MAC key.
    fn keys_of_other_purposes(&self) -> impl Iterator<Item = NamedKey<'_>> {
        let config = &self.config;
        let peppers = config.pepper.iter().flat_map(|pepper| {
            let versions = pepper.versions().unwrap_or_default().into_iter();
            versions.map(|(version, uri)| {
                let age = if version < pepper.active { Age::Old } else { Age::New };
                NamedKey { setting: "pepper.sources", uri, pepper: Some(age) }
            })
        });
        let signs = |setting| move |uri| NamedKey { setting, uri, pepper: None };
        peppers
            .chain(config.feed.signing_key.iter().map(signs("feed.signing_key")))
            .chain(config.assertion.signing_keys.iter().map(|key| &key.source).map(signs("assertion.signing_keys")))
    }
}

type Answer = Result<(KeyCheckValue, Vec<KeyVersion>), SourceError>;

fn compare(keys: &[NamedKey<'_>], answers: &[Answer]) -> Vec<SharedKey> {
    let answered: Vec<_> =
        keys.iter().zip(answers).filter_map(|(key, answer)| Some((key, answer.as_ref().ok()?))).collect();
    let mut shared = Vec::new();
    for (at, (key, (value, versions))) in answered.iter().enumerate() {
        let setting = key.setting;
        let masters = versions.iter().map(|version| DeploymentError::SharedKey { version: *version, setting });
        shared.extend(masters.map(|error| SharedKey { error, refused: true }));
        let equal = answered[..at].iter().filter(|(_, (other, _))| other == value);
        shared.extend(equal.map(|(other, _)| SharedKey {
            error: DeploymentError::EqualKeys { one: other.named(), other: key.named() },
            refused: other.must_differ(key),
        }));
    }
    shared
}

impl NamedKey<'_> {
    fn named(&self) -> String {
        format!("{} ({})", self.setting, self.uri)
    }

    /// Returns whether the two must not be put in force together.
    fn must_differ(&self, other: &NamedKey<'_>) -> bool {
        let both = [self.pepper, other.pepper];
        both.contains(&Some(Age::New)) || !both.contains(&Some(Age::Old))
    }
}
