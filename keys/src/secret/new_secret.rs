//! New secret halves for an old seal.

use rand::{TryCryptoRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::{Pepper, SealBinding, SecretDigest, SecretHashError};
use crate::api_key::text::{SECRET_BYTES, secret_ending};

/// A secret half that was drawn for an old seal: shown to the key's owner once, and stored as a hash.
#[derive(Debug)]
pub struct NewSecret {
    secret: SecretBox<[u8; SECRET_BYTES]>,
    ending: SecretString,
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
        let mut drawn = Ok(());
        let secret = SecretBox::init_with_mut(|secret: &mut [u8; SECRET_BYTES]| drawn = random.try_fill_bytes(secret));
        drawn.map_err(|error| SecretHashError::Random(error.to_string()))?;
        let ending = SecretString::from(secret_ending(self.crc(), secret.expose_secret()).as_str());
        Ok(NewSecret { secret, ending, bound_to: *self })
    }
}

impl NewSecret {
    /// The last 51 characters of the API key from now on, `_`, the secret half and the checksum, in place of the last
    /// 51 of the old one. Show them to the key's owner once, and put them nowhere else.
    pub fn expose(&self) -> &str {
        self.ending.expose_secret()
    }

    /// What the secret half hashes to under `pepper`: what a [`SecretHash`](crate::secret::SecretHash) is made of.
    pub fn digest(&self, pepper: &Pepper) -> SecretDigest {
        pepper.digest(self.secret.expose_secret(), &self.bound_to)
    }
}
