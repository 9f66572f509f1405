//! Every purpose has a key of its own: a master key is no key that the configuration names for something else.

use super::{KeyCheckValue, KeyVersion, KeyringDocument, KeyringError, VersionState, mac};
use crate::{
    labels,
    source::{EncryptionContext, SourceError, SourceErrorKind, SourceUri, Sources},
};

impl KeyringDocument {
    /// Refuses a version whose master key is the one that `mac_source` holds, which authenticates the document.
    pub fn refuse_mac_key(
        &self,
        number: KeyVersion,
        mac_source: &SourceUri,
        sources: &Sources,
    ) -> Result<(), KeyringError> {
        let record = self.version(number).ok_or(KeyringError::Unknown(number))?;
        let source = mac::open_source(mac_source, sources, self.id)?;
        let same = self.check_value(&*source, number)? == record.key_check_value;
        if same { Err(KeyringError::MacKeyAsMaster(number)) } else { Ok(()) }
    }

    /// The versions whose master key this source holds, by their key-check values. The configuration names the source
    /// for another purpose, which makes it trusted. Versions that are destroyed do not count: their keys open nothing
    /// any more.
    pub fn versions_held_by(&self, uri: &SourceUri, sources: &Sources) -> Result<Vec<KeyVersion>, SourceError> {
        self.compare_key(uri, sources).map(|(_, versions)| versions)
    }

    /// The same with a value by which keys that the configuration names can be compared: of equal keys it is equal. It is
    /// what the key-check value of the first version would be.
    pub fn compare_key(
        &self,
        uri: &SourceUri,
        sources: &Sources,
    ) -> Result<(KeyCheckValue, Vec<KeyVersion>), SourceError> {
        let context = EncryptionContext { keyring: self.id, version: None, wrapped: None };
        let source = sources.open_configured(uri, context)?;
        let compared = || self.versions.iter().filter(|record| record.state != VersionState::Destroyed);
        let first = labels::key_check(self.id, KeyVersion::FIRST);
        let rest = compared().map(|record| labels::key_check(self.id, record.number));
        let infos: Vec<Vec<u8>> = std::iter::once(first).chain(rest).collect();
        let mut found = source.expand_all(&infos)?.into_iter().map(|expanded| KeyCheckValue::of(&expanded));
        let value = found
            .next()
            .ok_or_else(|| SourceError::new(uri, SourceErrorKind::Malformed, "it yielded nothing".to_owned()))?;
        let held = compared().zip(found).filter(|(record, found)| *found == record.key_check_value);
        Ok((value, held.map(|(record, _)| record.number).collect()))
    }
}
