//! Sets of imported keys: all keys of one layout in one realm.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use bulla::{ApiKeyId, Realm, claims::Claims};
use hmac::Mac;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Before, Hashed, KeyLayout, OldSecret,
    digest::Digest,
    old_secret::keyed,
    scheme::{Check, HashString, same},
};

/// One set.
#[derive(Debug)]
pub(crate) struct Set {
    /// Its number in the store.
    pub(crate) number: i64,
    pub(crate) realm: Realm,
    pub(crate) layout: KeyLayout,
    /// Random, so that the ids of its keys reveal nothing of the keys.
    pub(super) id_key: [u8; 16],
    /// Where the layout names one; without it no key of the set can be checked.
    pub(crate) secret: Option<Arc<OldSecret>>,
    /// Keys that a sealed one was issued for since they were read.
    pub(super) replaced: Mutex<HashSet<[u8; 12]>>,
}

/// An imported key as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImportedRow {
    /// Its place in the ledger.
    pub(crate) place: i64,
    /// The number of its set.
    pub(crate) set: i64,
    pub(crate) id: ApiKeyId,
    pub(crate) app_id: Uuid,
    pub(crate) issued_at: u32,
    pub(crate) expires_at: Option<u32>,
    pub(crate) claims: Claims,
    pub(crate) public: Option<Box<[u8]>>,
    pub(crate) check: Check,
    pub(crate) replaced: bool,
}

/// The check could not be made, so the key may be right or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("the secret of these keys is not loaded")]
    NoSecret,
    #[error("{0}")]
    Slow(String),
}

/// What finds a key: the public part, or the digest.
pub(super) fn found_by<'k>(public: Option<&'k [u8]>, check: &'k Check) -> &'k [u8] {
    match (public, check) {
        (Some(public), _) => public,
        (None, Check::Fast { digest, .. }) => digest,
        (None, Check::Text(_)) => &[],
    }
}

impl Set {
    pub(crate) fn new(
        number: i64,
        realm: Realm,
        layout: KeyLayout,
        id_key: [u8; 16],
        secret: Option<OldSecret>,
    ) -> Self {
        Set { number, realm, layout, id_key, secret: secret.map(Arc::new), replaced: Mutex::default() }
    }

    /// Returns whether the layout names a secret that is not here.
    pub(super) fn lacks_secret(&self) -> bool {
        self.layout.secret.is_some() && self.secret.is_none()
    }

    /// Returns whether both are of the same set, and their hashes are of the same secret.
    pub(super) fn is_same(&self, other: &Set) -> bool {
        let whole = |set: &Set| (set.number, set.realm, set.id_key);
        whole(self) == whole(other) && self.layout == other.layout
    }

    /// The id of a key: the same for every import. It comes from what finds the key; where several keys may be found by
    /// the same, from the hash, too.
    pub(crate) fn id_of(&self, public: Option<&[u8]>, check: &Check) -> ApiKeyId {
        let mut mac = keyed(&self.id_key).chain_update(found_by(public, check));
        if self.layout.shared {
            let (hash, salt): (&[u8], &[u8]) = match check {
                Check::Fast { digest, salt } => (digest, salt),
                Check::Text(text) => (text.as_bytes(), &[]),
            };
            mac = mac.chain_update([0]).chain_update(hash).chain_update(salt);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        ApiKeyId::unsealed(self.realm, digest.first_chunk().copied().unwrap_or_default())
    }

    /// What is hashed of a key, when `before` is done with it; `None` without a secret that is needed.
    pub(super) fn prepared(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self.layout.before {
            None => Some(Zeroizing::new(key.to_vec())),
            Some(before) => before.apply(key, self.secret.as_deref()),
        }
    }

    /// The digest of prepared bytes, `len` bytes of it where the function has any number.
    pub(super) fn digest(&self, prepared: &[u8], salt: &[u8], len: usize) -> Option<Digest> {
        let checksum;
        let of_all = match &self.layout.salt {
            Some(salt) => Some(salt.as_bytes()),
            None if self.layout.hashed == Hashed::Checksummed => {
                checksum = self.layout.checksum(prepared);
                Some(checksum.as_bytes())
            }
            None if self.layout.salts_with_secret() => Some(self.secret.as_ref()?.bytes()),
            None => None,
        };
        let salt = of_all.unwrap_or(salt);
        match self.layout.cost {
            Some(cost) if of_all.is_some() => cost.digest(prepared, salt, len),
            _ => self.layout.scheme.digest(prepared, salt, self.secret.as_deref()),
        }
    }

    /// Returns whether prepared bytes are those of a key with this hash, in constant time.
    pub(super) fn matches(&self, check: &Check, prepared: &[u8]) -> Result<bool, CheckError> {
        // A hash function that may do without one would say no.
        if self.lacks_secret() {
            return Err(CheckError::NoSecret);
        }
        match check {
            Check::Fast { digest, salt } => {
                let found = self.digest(prepared, salt, digest.len());
                found.map(|found| same(&found, digest)).ok_or(CheckError::NoSecret)
            }
            Check::Text(text) => {
                let hash = HashString::parse(self.layout.scheme, text);
                let hash = hash.map_err(|reason| CheckError::Slow(reason.to_string()))?;
                hash.matches(prepared, self.own_secret()).map_err(|error| CheckError::Slow(error.to_string()))
            }
        }
    }

    /// The secret that a hash function takes beside the key.
    fn own_secret(&self) -> Option<&[u8]> {
        let elsewhere = self.layout.before.is_some_and(Before::takes_secret);
        self.secret.as_deref().filter(|_| !elsewhere).map(OldSecret::bytes)
    }

    pub(super) fn note_replaced(&self, id: &ApiKeyId) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.extend(id.unsealed_name());
    }

    pub(super) fn was_replaced(&self, id: &ApiKeyId) -> bool {
        let replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        id.unsealed_name().is_some_and(|name| replaced.contains(&name))
    }
}
