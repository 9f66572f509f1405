//! The keyring's id: 16 random bytes that keep two deployments on one master key apart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::random::{self, RandomError};

/// 16 random bytes, drawn when the keyring is made and kept for its life; written in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyringId([u8; 16]);

/// The text is not a keyring id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a keyring id is 32 hexadecimal digits")]
pub struct KeyringIdError;

impl KeyringId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        KeyringId(bytes)
    }

    /// A new id from the operating system's generator.
    pub fn random() -> Result<Self, RandomError> {
        random::bytes().map(KeyringId)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for KeyringId {
    type Err = KeyringIdError;

    fn from_str(text: &str) -> Result<Self, KeyringIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyringIdError)?;
        Ok(KeyringId(bytes))
    }
}

impl TryFrom<String> for KeyringId {
    type Error = KeyringIdError;

    fn try_from(text: String) -> Result<Self, KeyringIdError> {
        text.parse()
    }
}

impl From<KeyringId> for String {
    fn from(id: KeyringId) -> String {
        id.to_string()
    }
}

impl fmt::Display for KeyringId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyringId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
