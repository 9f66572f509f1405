//! The number of a key version.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

/// The number of one generation of root key material: 1 and up, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyVersion(NonZeroU32);

impl KeyVersion {
    /// The first version of a keyring.
    pub const FIRST: KeyVersion = KeyVersion(NonZeroU32::MIN);

    /// The version of this number; `None` for 0.
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
