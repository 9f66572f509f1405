//! What is remembered of a keyring outside it, so that an older document or a version brought back is recognized: a MAC
//! alone cannot tell an old document from the newest one.

use super::{KeyVersion, KeyringDocument, KeyringError, State};

/// The highest serial number seen, and the versions seen compromised or destroyed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyringMemory {
    /// The highest serial number seen.
    pub serial: u64,
    /// Versions that must not come back.
    pub burned: Vec<KeyVersion>,
}

impl KeyringMemory {
    /// Refuses a document that is older than one seen before, or in which a version opens again that was given up.
    pub fn check(&self, document: &KeyringDocument) -> Result<(), KeyringError> {
        if document.serial < self.serial {
            return Err(KeyringError::RolledBack { serial: document.serial, seen: self.serial });
        }
        for number in &self.burned {
            match document.version(*number) {
                Some(record) if !record.state.opens() => {}
                _ => return Err(KeyringError::BroughtBack(*number)),
            }
        }
        Ok(())
    }

    /// What is to be remembered after `document` was seen.
    pub fn after(document: &KeyringDocument) -> Self {
        let given_up = |state: State| matches!(state, State::Compromised | State::Destroyed);
        let burned = document.versions.iter().filter(|record| given_up(record.state)).map(|record| record.number);
        KeyringMemory { serial: document.serial, burned: burned.collect() }
    }
}
