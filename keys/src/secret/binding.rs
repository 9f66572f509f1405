//! What a secret half is bound to.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

use crate::api_key::{ApiKey, text::Parts};

const DIGEST_BYTES: usize = 32;
const BYTES: usize = DIGEST_BYTES + 4;

/// The sealed text of one API key, as far as its secret half needs it: SHA-256 and CRC-32 of `realm "_" body`. Kept in
/// a ledger, it lets a new secret half be drawn without the API key. It opens nothing and shows nothing; written in
/// base64, 48 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealBinding {
    digest: [u8; DIGEST_BYTES],
    crc: u32,
}

/// A text that is not a seal binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seal binding is 36 bytes in base64: restore the ledger's row, or issue a new key")]
pub struct SealBindingError;

impl SealBinding {
    pub(crate) fn of(parts: &Parts<'_>) -> Self {
        let (mut digest, mut crc) = (Sha256::new(), crc32fast::Hasher::new());
        digest.update(parts.before_secret());
        crc.update(parts.before_secret());
        SealBinding { digest: digest.finalize().into(), crc: crc.finalize() }
    }

    pub(super) fn crc(&self) -> u32 {
        self.crc
    }

    pub(super) fn digest(&self) -> &[u8; DIGEST_BYTES] {
        &self.digest
    }
}

impl ApiKey {
    /// What the secret half is bound to, where the key has one: all that a ledger keeps for drawing a new one later.
    pub fn seal_binding(&self) -> Option<SealBinding> {
        let parts = Parts::split(self.expose().as_bytes()).ok()?;
        parts.secret.map(|_| SealBinding::of(&parts))
    }
}

impl FromStr for SealBinding {
    type Err = SealBindingError;

    fn from_str(text: &str) -> Result<Self, SealBindingError> {
        let mut bytes = [0; BYTES];
        match BASE64.decode_slice(text, &mut bytes) {
            Ok(BYTES) => {}
            _ => return Err(SealBindingError),
        }
        let (digest, crc) = bytes.split_first_chunk().ok_or(SealBindingError)?;
        let crc = crc.try_into().map_err(|_| SealBindingError)?;
        Ok(SealBinding { digest: *digest, crc: u32::from_be_bytes(crc) })
    }
}

impl fmt::Display for SealBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.digest.as_slice(), &self.crc.to_be_bytes()].concat();
        f.pad(&BASE64.encode(bytes))
    }
}

impl fmt::Debug for SealBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealBinding(…)")
    }
}
