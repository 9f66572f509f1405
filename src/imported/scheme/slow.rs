//! Hashes that take time and memory, both known before one runs.

use super::{Scheme, argon2id, bcrypt, scrypt};
use crate::imported::row_error::RowErrorKind;

/// The most memory that a hash may take, in KiB: the table that is imported chooses how much a check takes.
pub(super) const MAX_KIB: u64 = 256 * 1024;

/// A hash as it was imported.
#[derive(Clone, Debug)]
pub(in crate::imported) enum SlowHash {
    Argon2id(argon2id::Hash),
    Bcrypt(bcrypt::Hash),
    Scrypt(scrypt::Hash),
}

/// A hash could not be computed, so the key may be right or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::imported) enum SlowError {
    #[error("there is not enough memory for a hash of {0} KiB")]
    OutOfMemory(u32),
    #[error("the stored hash has parameters that its function does not take")]
    Parameters,
}

impl SlowHash {
    /// Parses the string of a row, and checks it against the ceilings.
    pub(in crate::imported) fn parse(scheme: Scheme, text: &str) -> Result<Self, RowErrorKind> {
        match scheme {
            Scheme::Argon2id => argon2id::Hash::parse(text).map(SlowHash::Argon2id),
            Scheme::Bcrypt => bcrypt::Hash::parse(text).map(SlowHash::Bcrypt),
            Scheme::Scrypt => scrypt::Hash::parse(text).map(SlowHash::Scrypt),
            _ => Err(RowErrorKind::HashString),
        }
    }

    /// Memory of a check, in KiB.
    pub(in crate::imported) fn memory_kib(&self) -> u32 {
        match self {
            SlowHash::Argon2id(hash) => hash.memory_kib(),
            SlowHash::Bcrypt(_) => bcrypt::MEMORY_KIB,
            SlowHash::Scrypt(hash) => hash.memory_kib(),
        }
    }

    /// Whether it is the hash of these bytes. Takes milliseconds to a second.
    pub(in crate::imported) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        match self {
            SlowHash::Argon2id(hash) => hash.matches(hashed),
            SlowHash::Bcrypt(hash) => hash.matches(hashed),
            SlowHash::Scrypt(hash) => hash.matches(hashed),
        }
    }
}
