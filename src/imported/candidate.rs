//! A key that a presented text may be, before its hash is checked.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    Key,
    key_layout::BCRYPT_SEES,
    scheme::{Check, Scheme, SlowError, SlowHash, same},
};

/// A key that was found by its public part or its digest, and the part of the presented text to hash.
#[derive(Clone)]
pub(crate) struct Candidate {
    key: Arc<Key>,
    hashed: Zeroizing<Vec<u8>>,
}

/// The check could not be made, so the key may be right or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("the HMAC key is not loaded")]
    NoHmacKey,
    #[error("{0}")]
    Slow(String),
}

impl Candidate {
    pub(super) fn new(key: Arc<Key>, hashed: Zeroizing<Vec<u8>>) -> Self {
        Candidate { key, hashed }
    }

    /// The key on record.
    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Whether the check needs a blocking thread, behind a limit on how many run at a time.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.key.check, Check::Slow(_))
    }

    /// The bytes that the check compares: texts with the same ones are right or wrong together.
    pub(crate) fn counting(&self) -> &[u8] {
        let seen = match self.key.set.layout.scheme {
            Scheme::Bcrypt => self.hashed.len().min(BCRYPT_SEES),
            _ => self.hashed.len(),
        };
        &self.hashed[..seen]
    }

    /// KiB of memory that the check takes.
    pub(crate) fn memory_kib(&self) -> u32 {
        match &self.key.check {
            Check::Fast { .. } => 0,
            Check::Slow(text) => SlowHash::parse(self.key.set.layout.scheme, text).map_or(0, |hash| hash.memory_kib()),
        }
    }

    /// Whether the presented text is the key, in constant time.
    pub(crate) fn matches(&self) -> Result<bool, CheckError> {
        let set = &self.key.set;
        match &self.key.check {
            Check::Fast { digest, salt } => {
                let found = set.layout.scheme.digest(&self.hashed, salt, set.hmac_key.as_ref());
                found.map(|found| same(&found, digest)).ok_or(CheckError::NoHmacKey)
            }
            Check::Slow(text) => {
                let hash = SlowHash::parse(set.layout.scheme, text);
                let hash = hash.map_err(|reason| CheckError::Slow(reason.to_string()))?;
                hash.matches(&self.hashed).map_err(|error: SlowError| CheckError::Slow(error.to_string()))
            }
        }
    }
}
