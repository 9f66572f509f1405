//! What is remembered of a keyring outside of it, so that an older document or a version brought back is recognized: a
//! MAC alone cannot tell an old document from the newest one.

use super::{KeyVersion, KeyringDocument, KeyringError, VersionState};

/// The highest serial number seen, and the closed versions: those seen compromised or destroyed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyringMemory {
    /// The highest serial number seen.
    pub serial: u64,
    /// Versions that must not come back.
    pub closed: Vec<KeyVersion>,
}

impl KeyringMemory {
    /// Refuses a document that is older than one seen before, or in which a closed version opens again.
    pub fn check(&self, document: &KeyringDocument) -> Result<(), KeyringError> {
        if document.serial < self.serial {
            return Err(KeyringError::RolledBack { serial: document.serial, seen: self.serial });
        }
        for number in &self.closed {
            match document.version(*number) {
                Some(record) if !record.state.opens() => {}
                _ => return Err(KeyringError::BroughtBack(*number)),
            }
        }
        Ok(())
    }

    /// What to remember after `document` was seen.
    pub fn after(document: &KeyringDocument) -> Self {
        let is_closed = |state: VersionState| matches!(state, VersionState::Compromised | VersionState::Destroyed);
        let closed = document.versions.iter().filter(|record| is_closed(record.state)).map(|record| record.number);
        KeyringMemory { serial: document.serial, closed: closed.collect() }
    }
}
