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
        self.check_source(version, &record, opener)?;
        self.change(number, |version| version.sources.push(record))
    }

    /// Removes a source, and with it the key that it wraps. One that is left has to serve the version's master key now:
    /// what is removed may be all that is left of it.
    pub fn remove_source(&mut self, number: KeyVersion, uri: &SourceUri, opener: &Sources) -> Result<(), KeyringError> {
        let version = self.usable(number)?;
        if !version.sources.iter().any(|known| known.uri == *uri) {
            return Err(KeyringError::SourceUnknown { version: number, uri: uri.clone() });
        }
        if version.sources.len() == 1 {
            return Err(KeyringError::LastSource(number));
        }
        let mut served = Err(KeyringError::NoSource(number));
        for left in version.sources.iter().filter(|known| known.uri != *uri) {
            served = self.check_source(version, left, opener);
            if served.is_ok() {
                break;
            }
        }
        served.map_err(|error| KeyringError::NoneServes { version: number, uri: uri.clone(), error: error.into() })?;
        self.change(number, |version| version.sources.retain(|known| known.uri != *uri))
    }

    /// Refuses a source that does not hold the version's master key.
    fn check_source(
        &self,
        version: &VersionRecord,
        record: &SourceRecord,
        opener: &Sources,
    ) -> Result<(), KeyringError> {
        let source = self.open(version.number, record, opener)?;
        let found = self.check_value(&*source, version.number)?;
        if found != version.key_check_value {
            return Err(KeyringError::wrong_key(version, &record.uri, found));
        }
        Ok(())
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
