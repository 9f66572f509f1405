//! What a secret half is bound to, and new secret halves for an old seal.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use getrandom::SysRng;
use rand_core::TryCryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Pepper, SecretDigest, SecretHashError};
use crate::api_key::text::{Parts, SECRET_BYTES, secret_ending};

const DIGEST_BYTES: usize = 32;
const BYTES: usize = DIGEST_BYTES + 4;

/// The sealed text of one API key, as far as its secret half needs it: SHA-256 and CRC-32 of `realm "_" body`. Kept in a
/// ledger, it lets a new secret half be drawn without the API key. It opens nothing and shows nothing; written in
/// base64, 48 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealBinding {
    digest: [u8; DIGEST_BYTES],
    crc: u32,
}

/// A text that is no seal binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seal binding is 36 bytes in base64: restore the ledger's row, or issue a new key")]
pub struct SealBindingError;

/// A secret half that was drawn for an old seal: shown to the key's owner once, and stored as a hash.
pub struct NewSecret {
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    ending: Zeroizing<String>,
    bound_to: SealBinding,
}

impl SealBinding {
    pub(crate) fn of(parts: &Parts<'_>) -> Self {
        let (mut digest, mut crc) = (Sha256::new(), crc32fast::Hasher::new());
        for piece in parts.before_secret() {
            digest.update(piece);
            crc.update(piece);
        }
        SealBinding { digest: digest.finalize().into(), crc: crc.finalize() }
    }

    pub(super) fn digest(&self) -> &[u8; DIGEST_BYTES] {
        &self.digest
    }

    /// Draws a new secret half from the operating system's generator. The sealed text stays as it is: nothing is sealed
    /// again under a used nonce.
    pub fn new_secret(&self) -> Result<NewSecret, SecretHashError> {
        self.new_secret_with(&mut SysRng)
    }

    /// Draws a new secret half from `random`, which has to be a cryptographic generator.
    pub fn new_secret_with<R: TryCryptoRng>(&self, random: &mut R) -> Result<NewSecret, SecretHashError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        let drawn = random.try_fill_bytes(secret.as_mut_slice());
        drawn.map_err(|error| SecretHashError::Random(error.to_string()))?;
        let ending = secret_ending(self.crc, &secret);
        Ok(NewSecret { secret, ending, bound_to: *self })
    }
}

impl NewSecret {
    /// The last 51 characters of the API key from now on, `_`, the secret half and the checksum, in place of the last 51
    /// of the old one. Show them to the key's owner once, and put them nowhere else.
    pub fn expose(&self) -> &str {
        &self.ending
    }

    /// What the secret half hashes to under `pepper`: what a [`SecretHash`](crate::SecretHash) is made of.
    pub fn digest(&self, pepper: &Pepper) -> SecretDigest {
        pepper.digest(&self.secret, &self.bound_to)
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

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewSecret(…)")
    }
}
