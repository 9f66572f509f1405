//! One master key under several sources: adding one and removing one, so that losing a source loses nothing.

use super::{KeyVersion, KeyringDocument, KeyringError, SourceRecord, VersionRecord};
use crate::source::{SourceUri, Sources};

impl KeyringDocument {
    /// Adds a source that holds the version's master key already, or wraps it. It is held to the key-check value.
    pub fn add_source(
        &mut self,
        number: KeyVersion,
        record: SourceRecord,
        opener: &Sources,
    ) -> Result<(), KeyringError> {
        let version = self.usable(number)?;
        if version.sources.iter().any(|known| known.uri == record.uri) {
            return Err(KeyringError::SourceKnown { version: number, uri: record.uri });
        }
        let source = self.open(number, &record, opener)?;
        let found = self.check_value(&*source, number)?;
        if found != version.key_check_value {
            return Err(KeyringError::wrong_key(version, &record.uri, found));
        }
        self.change(number, |version| version.sources.push(record))
    }

    /// Removes a source; the last one stays.
    pub fn remove_source(&mut self, number: KeyVersion, uri: &SourceUri) -> Result<(), KeyringError> {
        let version = self.usable(number)?;
        if !version.sources.iter().any(|known| known.uri == *uri) {
            return Err(KeyringError::SourceUnknown { version: number, uri: uri.clone() });
        }
        if version.sources.len() == 1 {
            return Err(KeyringError::LastSource(number));
        }
        self.change(number, |version| version.sources.retain(|known| known.uri != *uri))
    }

    fn usable(&self, number: KeyVersion) -> Result<&VersionRecord, KeyringError> {
        self.version(number).ok_or(KeyringError::Unknown(number))
    }

    fn change(&mut self, number: KeyVersion, change: impl FnOnce(&mut VersionRecord)) -> Result<(), KeyringError> {
        let version = self.versions.iter_mut().find(|record| record.number == number);
        change(version.ok_or(KeyringError::Unknown(number))?);
        self.serial += 1;
        Ok(())
    }
}
