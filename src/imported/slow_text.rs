//! Presented texts of sets whose digests are slow: all rows have the same salt, so that each text has to be hashed
//! before it is known whether it is a key.

use std::sync::Arc;

use bulla::{ApiKeyId, Realm};
use zeroize::Zeroizing;

use super::Set;

/// A text that may be a key of such a set.
#[derive(Clone)]
pub(crate) struct SlowText {
    pub(super) set: Arc<Set>,
    prepared: Zeroizing<Vec<u8>>,
}

impl SlowText {
    pub(super) fn new(set: Arc<Set>, prepared: Zeroizing<Vec<u8>>) -> Self {
        SlowText { set, prepared }
    }

    /// The realm of the set's keys.
    pub(crate) fn realm(&self) -> Realm {
        self.set.realm
    }

    /// An id for the whole set, by which attempts are counted. No key has it.
    pub(crate) fn id(&self) -> ApiKeyId {
        let mut name = [0xff; 12];
        name[..8].copy_from_slice(&self.set.number.to_be_bytes());
        ApiKeyId::unsealed(self.set.realm, name)
    }

    /// What its digest is remembered by.
    pub(crate) fn name(&self) -> Zeroizing<Vec<u8>> {
        let name = format!("digest {} ", self.set.number);
        Zeroizing::new([name.as_bytes(), &self.prepared].concat())
    }

    /// KiB of memory that the digest takes.
    pub(crate) fn memory_kib(&self) -> u32 {
        self.set.layout.cost.map_or(0, |cost| cost.memory_kib())
    }

    /// The digest. Takes milliseconds.
    pub(crate) fn digest(&self) -> Option<Box<[u8]>> {
        let digest = self.set.digest(&self.prepared, &[], self.set.layout.digest_len())?;
        Some((*digest).into())
    }
}
