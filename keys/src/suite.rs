//! The suites: which algorithm seals the API keys of a key version.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::payload;

/// Bytes of a tag.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce that stand in the API-key id.
pub(crate) const NONCE_IN_ID: usize = 12;

/// The algorithm that a key version pins; nothing in an API key chooses one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Suite {
    /// Suite 1, AES-256-GCM with a random 12-byte nonce: up to 2^32 keys per realm and key version.
    #[default]
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// Suite 2, XAES-256-GCM with a random 24-byte nonce: minting without a practical limit.
    #[serde(rename = "xaes-256-gcm")]
    Xaes256Gcm,
}

impl Suite {
    /// Fewest and most bytes of `sealed`, over all suites.
    pub(crate) const MIN_SEALED: usize = payload::MIN_BYTES + TAG;
    pub(crate) const MAX_SEALED: usize = NONCE_IN_ID + payload::MAX_BYTES + TAG;

    /// The suite's number in derivation and associated data.
    pub const fn number(self) -> u8 {
        match self {
            Suite::Aes256Gcm => 1,
            Suite::Xaes256Gcm => 2,
        }
    }

    /// The suite's name, as the keyring document writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Aes256Gcm => "aes-256-gcm",
            Suite::Xaes256Gcm => "xaes-256-gcm",
        }
    }

    /// Bytes of the nonce: the first 12 stand in the id, further ones before the ciphertext.
    pub(crate) const fn nonce_len(self) -> usize {
        match self {
            Suite::Aes256Gcm => NONCE_IN_ID,
            Suite::Xaes256Gcm => 2 * NONCE_IN_ID,
        }
    }

    /// Returns whether `sealed` bytes can hold a plaintext of this suite.
    pub(crate) const fn fits(self, sealed: usize) -> bool {
        let overhead = self.nonce_len() - NONCE_IN_ID + TAG;
        sealed >= overhead + payload::MIN_BYTES && sealed <= overhead + payload::MAX_BYTES
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Suite::Aes256Gcm, Suite::Xaes256Gcm]
            .into_iter()
            .find(|suite| suite.name() == text)
            .ok_or_else(|| "the suites are `aes-256-gcm` and `xaes-256-gcm`".to_owned())
    }
}
