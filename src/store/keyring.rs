//! What a store remembers of keyrings, so that an older document is recognized.

use std::{borrow::Cow, collections::HashMap};

use bulla::keyring::{KeyVersion, KeyringId, KeyringMemory};

use super::rows::damaged;
use crate::input::text;

/// Characters of an unreadable id that are shown.
const SHOWN: usize = 64;

/// The memory of each keyring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyringMemories {
    pub(crate) known: HashMap<KeyringId, KeyringMemory>,
    /// How many rows could not be read, of any keyring. The others count.
    pub(crate) damaged: usize,
}

impl KeyringMemories {
    /// Returns whether the store has never seen a keyring.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.damaged == 0
    }

    /// Takes in a row with the highest serial number of a keyring, whose id is as it is stored.
    pub(super) fn add_serial(&mut self, id: &[u8], serial: i64) {
        match (parsed(id), u64::try_from(serial)) {
            (Some(id), Ok(serial)) => {
                let memory = self.known.entry(id).or_default();
                memory.serial = memory.serial.max(serial);
            }
            _ => self.note_damaged(id),
        }
    }

    /// Takes in a row with a closed version of a keyring.
    pub(super) fn add_closed(&mut self, id: &[u8], version: i64) {
        match (parsed(id), u32::try_from(version).ok().and_then(KeyVersion::new)) {
            (Some(id), Some(version)) => self.known.entry(id).or_default().closed.push(version),
            _ => self.note_damaged(id),
        }
    }

    fn note_damaged(&mut self, id: &[u8]) {
        let id: Cow<'_, str> = String::from_utf8_lossy(id);
        let id: String = text::shown(&id).chars().take(SHOWN).collect();
        tracing::error!("{}; the other rows count", damaged("the memory of keyrings", format_args!("`{id}`")));
        self.damaged += 1;
    }
}

fn parsed(id: &[u8]) -> Option<KeyringId> {
    std::str::from_utf8(id).ok()?.parse().ok()
}
