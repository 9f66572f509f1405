//! Pepper rotation: a stored hash moves to the active version of the pepper, and to today's scheme, when its key is
//! next used and its secret half is at hand. An older version can go once no hash is under it.

use bulla::{
    ApiKeyId,
    keyring::KeyVersion,
    secret::{SecretDigest, SecretHash, SecretHashError, SecretScheme},
};
use jiff::Timestamp;

use super::{NewHash, Peppers};
use crate::store::{SecretRow, Store, StoreError, transact};

/// Returns whether a hash is to move: it is under another version of the pepper than the active one, or made by another
/// scheme.
pub(super) fn is_due(hash: &SecretHash, scheme: SecretScheme, active: KeyVersion) -> bool {
    hash.needs_rehash(scheme, active)
}

/// A hash did not move. The old one stays in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    #[error(transparent)]
    Hash(#[from] SecretHashError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Hashes the secret half that `old` is of under the active version of the pepper, and stores that in the place of
/// `old`, with the same end. Takes as long as a hash of this scheme. `false` where the row changed meanwhile, or no
/// digest is under the active version: what was read of it, its end above all, must not come back.
pub(crate) fn rehash(
    store: &dyn Store,
    (id, old): (ApiKeyId, &SecretRow),
    (digests, peppers): (&[SecretDigest], &Peppers),
    scheme: SecretScheme,
    now: Timestamp,
) -> Result<bool, RotationError> {
    let active = peppers.active().version();
    let Some(digest) = digests.iter().find(|digest| digest.pepper_version() == active) else { return Ok(false) };
    let row = NewHash::again(digest, &old.binding, scheme)?.row(id, peppers, now, old.retires_at);
    Ok(transact(store, |transaction| transaction.replace_secret(old, &row))?)
}
