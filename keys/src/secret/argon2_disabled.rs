//! In place of Argon2id, in a build without the feature `argon2`.

use zeroize::Zeroizing;

use super::{Argon2id, SecretHashError, digest, scheme::SALT_BYTES};

/// Whether this build has Argon2id.
pub(super) const IS_ENABLED: bool = false;

/// Memory that hashes are computed in. This build has no hash that needs any.
#[derive(Debug, Default)]
pub struct HashMemory(());

impl HashMemory {
    /// Always [`SecretHashError::Disabled`].
    pub fn with_kib(_: u32) -> Result<Self, SecretHashError> {
        Err(SecretHashError::Disabled)
    }
}

pub(super) fn hash(
    _: &Argon2id,
    _: &[u8; digest::BYTES],
    _: &[u8; SALT_BYTES],
    _: &mut HashMemory,
) -> Result<Zeroizing<[u8; digest::BYTES]>, SecretHashError> {
    Err(SecretHashError::Disabled)
}
