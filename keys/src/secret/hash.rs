//! The stored hash of a secret half.

use std::fmt;

use ctutils::CtEq;
use rand::{TryCryptoRng, rngs::SysRng};
use zeroize::Zeroizing;

use super::{
    Ceilings, HashMemory, SecretDigest, SecretHashError, SecretScheme, argon2, digest,
    phc::{self, Fields},
    scheme::{SALT_BYTES, Salted},
};
use crate::key_version::KeyVersion;

/// What is stored of a secret half, under the id of its key: the hash, how it was made, and under which version of the
/// pepper. Two may be stored for one key, the old and the new, during a rotation.
///
/// [`SecretHash::matches`] takes what its setting takes, up to hundreds of milliseconds and [`memory_kib`] of memory:
/// it belongs on a thread that may block, behind a limit on how many run at a time.
///
/// [`memory_kib`]: SecretHash::memory_kib
#[derive(Clone)]
pub struct SecretHash(Fields);

impl SecretHash {
    /// Hashes a digest under `scheme`, with a salt from the operating system's generator. Takes as long as a check.
    pub fn new(scheme: SecretScheme, digest: &SecretDigest) -> Result<Self, SecretHashError> {
        Self::new_with(scheme, digest, &mut SysRng)
    }

    /// As [`SecretHash::new`], with a salt from `random`.
    pub fn new_with<R: TryCryptoRng>(
        scheme: SecretScheme,
        digest: &SecretDigest,
        random: &mut R,
    ) -> Result<Self, SecretHashError> {
        let salted = match scheme {
            SecretScheme::HmacSha256 => Salted::HmacSha256,
            SecretScheme::Argon2id(setting) => {
                let mut salt = [0; SALT_BYTES];
                random.try_fill_bytes(&mut salt).map_err(|error| SecretHashError::Random(error.to_string()))?;
                Salted::Argon2id { setting, salt }
            }
        };
        let hash = salted.hash(digest, &mut HashMemory::default())?;
        Ok(SecretHash(Fields { salted, pepper: digest.pepper_version(), hash }))
    }

    /// Reads a stored hash: the PHC string that [`SecretHash::to_phc`] wrote, and no other spelling of it.
    pub fn parse(text: &str, ceilings: &Ceilings) -> Result<Self, SecretHashError> {
        let fields = phc::parse(text, ceilings)?;
        match fields.salted.scheme() {
            SecretScheme::Argon2id(_) if !argon2::IS_ENABLED => Err(SecretHashError::Disabled),
            _ => Ok(SecretHash(fields)),
        }
    }

    /// The PHC string to be stored. Keep it out of logs: with the pepper it confirms a secret half.
    pub fn to_phc(&self) -> String {
        phc::print(&self.0)
    }

    /// How it was made.
    pub fn scheme(&self) -> SecretScheme {
        self.0.salted.scheme()
    }

    /// The version of the pepper that checks it.
    pub fn pepper_version(&self) -> KeyVersion {
        self.0.pepper
    }

    /// KiB of memory that a check takes.
    pub fn memory_kib(&self) -> u32 {
        self.scheme().memory_kib()
    }

    /// Returns whether a new hash would have another setting or pepper. The hash can be replaced when the secret half
    /// is next presented and found right.
    pub fn needs_rehash(&self, scheme: SecretScheme, pepper: KeyVersion) -> bool {
        self.scheme() != scheme || self.0.pepper != pepper
    }

    /// Returns whether this is the hash of the digest, in constant time. After an error the caller could not tell.
    pub fn matches(&self, digest: &SecretDigest) -> Result<bool, SecretHashError> {
        self.matches_in(digest, &mut HashMemory::default())
    }

    /// As [`SecretHash::matches`], in memory that is kept from check to check.
    pub fn matches_in(&self, digest: &SecretDigest, memory: &mut HashMemory) -> Result<bool, SecretHashError> {
        if self.0.pepper != digest.pepper_version() {
            let (stored, digest) = (self.0.pepper, digest.pepper_version());
            return Err(SecretHashError::OtherPepper { stored, digest });
        }
        let hash = self.0.salted.hash(digest, memory)?;
        Ok(self.0.hash.ct_eq(&*hash).to_bool())
    }
}

impl Salted {
    fn hash(
        &self,
        digest: &SecretDigest,
        memory: &mut HashMemory,
    ) -> Result<Zeroizing<[u8; digest::BYTES]>, SecretHashError> {
        match self {
            Salted::HmacSha256 => Ok(digest.bytes().clone()),
            Salted::Argon2id { setting, salt } => argon2::hash(setting, digest.bytes(), salt, memory),
        }
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHash({}, pepper {}, …)", self.scheme(), self.0.pepper)
    }
}
