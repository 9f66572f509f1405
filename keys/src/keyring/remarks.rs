//! Remarks of a version's sources on its master key, for administrators.

use super::{KeyVersion, KeyringDocument, KeyringError};
use crate::source::{SourceUri, Sources};

impl KeyringDocument {
    /// What makes the master key at this source of the version weaker than it could be, one sentence each, as far as
    /// the source tells: an HSM says whether a key may leave it.
    pub fn remarks(&self, version: KeyVersion, uri: &SourceUri, opener: &Sources) -> Result<Vec<String>, KeyringError> {
        let record = self.version(version).ok_or(KeyringError::Unknown(version))?;
        let source = record.sources.iter().find(|known| known.uri == *uri);
        let source = source.ok_or_else(|| KeyringError::SourceUnknown { version, uri: uri.clone() })?;
        let source = self.open(version, source, opener)?;
        source.remarks().map_err(|error| KeyringError::Source { version, error })
    }
}
