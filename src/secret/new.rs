//! Hashes of new secret halves, before they are stored.

use bulla::{
    ApiKey, ApiKeyId,
    keyring::KeyVersion,
    secret::{SealBinding, SecretDigest, SecretHash, SecretHashError, SecretScheme},
};
use jiff::Timestamp;

use super::Peppers;
use crate::store::NewSecretRow;

/// The hash of a secret half, and what it is bound to.
pub(crate) struct NewHash {
    phc: String,
    binding: String,
    /// The version for the row's MAC, which is made once the key's id is known.
    pepper: KeyVersion,
}

impl NewHash {
    /// Hashes the secret half of a new key; `None` where it has none.
    pub(crate) fn of(key: &ApiKey, peppers: &Peppers, scheme: SecretScheme) -> Result<Option<Self>, SecretHashError> {
        match (key.secret_digest(peppers.active()), key.seal_binding()) {
            (Some(digest), Some(binding)) => Self::make(&digest, &binding, peppers, scheme).map(Some),
            _ => Ok(None),
        }
    }

    fn make(
        digest: &SecretDigest,
        binding: &SealBinding,
        peppers: &Peppers,
        scheme: SecretScheme,
    ) -> Result<Self, SecretHashError> {
        let _turn = (scheme.memory_kib() > 0).then(|| peppers.turn());
        Self::again(digest, &binding.to_string(), scheme)
    }

    /// The row for the store.
    pub(crate) fn row(
        &self,
        id: ApiKeyId,
        peppers: &Peppers,
        created_at: Timestamp,
        retires_at: Option<Timestamp>,
    ) -> NewSecretRow {
        let pepper = peppers.find(self.pepper).unwrap_or(peppers.active());
        let mac = pepper.row_mac(&id, &self.phc, &self.binding);
        NewSecretRow { id, phc: self.phc.clone(), binding: self.binding.clone(), mac, created_at, retires_at }
    }

    /// Hashes the same secret half again, by another scheme or under another pepper.
    pub(super) fn again(digest: &SecretDigest, binding: &str, scheme: SecretScheme) -> Result<Self, SecretHashError> {
        let pepper = digest.pepper_version();
        Ok(NewHash { phc: SecretHash::new(scheme, digest)?.to_phc(), binding: binding.to_owned(), pepper })
    }
}

/// A new secret half for the sealed text of this binding: its hash, and the ending that replaces the old key's.
pub(crate) fn rerolled(
    binding: &SealBinding,
    peppers: &Peppers,
    scheme: SecretScheme,
) -> Result<(NewHash, bulla::secret::NewSecret), SecretHashError> {
    let secret = binding.new_secret()?;
    let hash = NewHash::make(&secret.digest(peppers.active()), binding, peppers, scheme)?;
    Ok((hash, secret))
}
