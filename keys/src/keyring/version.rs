//! One key version: its number, its state and the legal moves between states.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

/// The number of one generation of root key material: 1 and up, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyVersion(NonZeroU32);

impl KeyVersion {
    /// The first version of a keyring.
    pub const FIRST: KeyVersion = KeyVersion(NonZeroU32::MIN);

    /// The version of this number; there is none of number 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(KeyVersion(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// The version after this one, unless the numbers are used up.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(KeyVersion)
    }

    pub(crate) fn to_be_bytes(self) -> [u8; 4] {
        self.number().to_be_bytes()
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a key version; the last four are the words of NIST SP 800-57.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every verifier has it and opens with it; nothing seals with it yet.
    Staged,
    /// Seals and opens; at most one version is active.
    Active,
    /// Opens only.
    Deactivated,
    /// Neither seals nor opens; kept on record.
    Compromised,
    /// Neither seals nor opens; the material is gone.
    Destroyed,
}

impl State {
    /// Every state, in the order of a version's life.
    pub const ALL: [State; 5] =
        [State::Staged, State::Active, State::Deactivated, State::Compromised, State::Destroyed];

    /// Whether API keys of a version in this state still verify.
    pub const fn opens(self) -> bool {
        matches!(self, State::Staged | State::Active | State::Deactivated)
    }

    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            State::Staged => "staged",
            State::Active => "active",
            State::Deactivated => "deactivated",
            State::Compromised => "compromised",
            State::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
