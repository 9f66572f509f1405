//! New secret halves for an old seal.

use std::fmt;

use rand::{TryCryptoRng, rngs::SysRng};
use zeroize::Zeroizing;

use super::{Pepper, SealBinding, SecretDigest, SecretHashError};
use crate::api_key::text::{SECRET_BYTES, secret_ending};

/// A secret half that was drawn for an old seal: shown to the key's owner once, and stored as a hash.
pub struct NewSecret {
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    ending: Zeroizing<String>,
    bound_to: SealBinding,
}

impl SealBinding {
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
        let ending = secret_ending(self.crc(), &secret);
        Ok(NewSecret { secret, ending, bound_to: *self })
    }
}

impl NewSecret {
    /// The last 51 characters of the API key from now on, `_`, the secret half and the checksum, in place of the last
    /// 51 of the old one. Show them to the key's owner once, and put them nowhere else.
    pub fn expose(&self) -> &str {
        &self.ending
    }

    /// What the secret half hashes to under `pepper`: what a [`SecretHash`](crate::secret::SecretHash) is made of.
    pub fn digest(&self, pepper: &Pepper) -> SecretDigest {
        pepper.digest(&self.secret, &self.bound_to)
    }
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewSecret(…)")
    }
}
