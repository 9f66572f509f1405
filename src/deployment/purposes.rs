//! Every purpose has a key of its own: a master key is neither the MAC key, nor a pepper, nor a key that signs.

use bulla::{
    keyring::{KeyVersion, KeyringDocument},
    source::SourceUri,
};

use super::{Deployment, DeploymentError};

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
        for (setting, uri) in self.keys_of_other_purposes() {
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

    /// The master keys that the configuration names for another purpose, too. Sources that fail are reported where they
    /// are used.
    pub(crate) fn shared_keys(&self, document: &KeyringDocument) -> Vec<DeploymentError> {
        let mut shared = Vec::new();
        for (setting, uri) in self.keys_of_other_purposes() {
            let held = document.versions_held_by(uri, &self.sources).unwrap_or_default();
            shared.extend(held.into_iter().map(|version| DeploymentError::SharedKey { version, setting }));
        }
        shared
    }

    /// The setting and the source of each key, except master keys and the MAC key.
    fn keys_of_other_purposes(&self) -> impl Iterator<Item = (&'static str, &SourceUri)> {
        let config = &self.config;
        let peppers = config.pepper.iter().flat_map(|pepper| pepper.sources.values());
        let assertions = config.assertion.signing_keys.iter().map(|key| &key.source);
        peppers
            .map(|uri| ("pepper.sources", uri))
            .chain(config.feed.signing_key.iter().map(|uri| ("feed.signing_key", uri)))
            .chain(assertions.map(|uri| ("assertion.signing_keys", uri)))
    }
}
