//! A key that a presented text may be, before its hash is checked.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    CheckError, Key,
    key_layout::BCRYPT_SEES,
    scheme::{Check, HashString},
};

/// A key that was found by its public part or its digest, and the part of the presented text to hash.
#[derive(Clone)]
pub(crate) struct Candidate {
    key: Arc<Key>,
    /// Empty where the digest found it.
    hashed: Zeroizing<Vec<u8>>,
    by_digest: bool,
}

impl Candidate {
    /// One that its public part found.
    pub(super) fn new(key: Arc<Key>, hashed: Zeroizing<Vec<u8>>) -> Self {
        Candidate { key, hashed, by_digest: false }
    }

    /// One whose digest is that of the presented text.
    pub(super) fn by_digest(key: Arc<Key>) -> Self {
        Candidate { key, hashed: Zeroizing::default(), by_digest: true }
    }

    /// The key on record.
    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Returns whether the check needs a blocking thread, behind a limit on how many run at a time.
    pub(crate) fn is_slow(&self) -> bool {
        match &self.key.check {
            Check::Fast { .. } => !self.by_digest && self.key.set.layout.digest_is_slow(),
            Check::Text(text) => self.string(text).map_or(true, |hash| hash.is_slow()),
        }
    }

    /// Returns whether the text is the key, where that is known at once and without a thread.
    pub(crate) fn matches_at_once(&self) -> Option<bool> {
        if self.is_slow() { None } else { self.matches().ok() }
    }

    /// What the text is held against.
    pub(crate) fn hash_and_salt(&self) -> (&[u8], &[u8]) {
        match &self.key.check {
            Check::Fast { digest, salt } => (digest, salt),
            Check::Text(text) => (text.as_bytes(), &[]),
        }
    }

    /// The bytes that the check compares: texts with the same ones are right or wrong together.
    pub(crate) fn counting(&self) -> &[u8] {
        if self.sees_all() { &self.hashed } else { &self.hashed[..self.hashed.len().min(BCRYPT_SEES)] }
    }

    /// Returns whether no other text is this key: some hashes see the beginning of a text alone.
    pub(crate) fn sees_all(&self) -> bool {
        match &self.key.check {
            Check::Fast { .. } => true,
            Check::Text(text) => self.string(text).is_ok_and(|hash| hash.sees_all()),
        }
    }

    /// KiB of memory that the check takes.
    pub(crate) fn memory_kib(&self) -> u32 {
        match &self.key.check {
            Check::Fast { .. } => self.key.set.layout.cost.map_or(0, |cost| cost.memory_kib()),
            Check::Text(text) => self.string(text).map_or(0, |hash| hash.memory_kib()),
        }
    }

    fn string(&self, text: &str) -> Result<HashString, CheckError> {
        let hash = HashString::parse(self.key.set.layout.scheme, text);
        hash.map_err(|reason| CheckError::Slow(reason.to_string()))
    }

    /// Returns whether the presented text is the key, in constant time.
    pub(crate) fn matches(&self) -> Result<bool, CheckError> {
        if self.by_digest {
            return Ok(true);
        }
        self.key.set.matches(&self.key.check, &self.hashed)
    }
}
