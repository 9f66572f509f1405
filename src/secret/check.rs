//! Checks a presented secret half against the stored hashes.

use bulla::{
    ApiKeyId,
    keyring::KeyVersion,
    secret::{Ceilings, HashMemory, SecretDigest, SecretHash, SecretScheme},
};

use super::{Peppers, pepper_rotation};
use crate::store::SecretRow;

/// The stored hashes of one key.
pub(crate) struct Stored {
    hashes: Vec<(SecretRow, SecretHash)>,
    /// Why one of them cannot be checked.
    broken: Option<String>,
}

/// The outcome of a check.
#[derive(Debug)]
pub(crate) enum Found {
    /// It matches this row, which is to be replaced if `rehash`.
    Right {
        row: SecretRow,
        rehash: bool,
    },
    Wrong,
    CouldNotTell(String),
}

impl Stored {
    /// Reads the stored rows of this key, the newest first.
    pub(crate) fn read(id: &ApiKeyId, rows: Vec<SecretRow>, peppers: &Peppers) -> Self {
        let mut stored = Stored { hashes: Vec::new(), broken: None };
        for row in rows {
            match intact(id, &row, peppers) {
                Ok(hash) => stored.hashes.push((row, hash)),
                Err(error) => stored.broken = Some(error.to_string()),
            }
        }
        stored
    }

    /// The most memory that one of the hashes takes, in KiB; 0 where all are cheap.
    pub(crate) fn memory_kib(&self) -> u32 {
        self.hashes.iter().map(|(_, hash)| hash.memory_kib()).max().unwrap_or(0)
    }

    /// The number of the newest hash, 0 without any.
    pub(crate) fn newest(&self) -> u64 {
        self.hashes.iter().map(|(row, _)| row.seq).max().unwrap_or(0)
    }

    /// How many slow hashes a check may compute.
    pub(crate) fn slow(&self) -> usize {
        self.hashes.iter().filter(|(_, hash)| hash.memory_kib() > 0).count()
    }

    /// Finds the row that one of the digests matches; there is one digest for each version of the pepper. New hashes
    /// are made by `scheme` under `pepper`.
    pub(crate) fn find(
        self,
        digests: &[SecretDigest],
        memory: &mut HashMemory,
        scheme: SecretScheme,
        pepper: KeyVersion,
    ) -> Found {
        let mut broken = self.broken;
        for (row, hash) in self.hashes {
            let digest = digests.iter().find(|digest| digest.pepper_version() == hash.pepper_version());
            let Some(digest) = digest else { continue };
            match hash.matches_in(digest, memory) {
                Ok(true) => return Found::Right { rehash: pepper_rotation::is_due(&hash, scheme, pepper), row },
                Ok(false) => {}
                Err(error) => broken = Some(error.to_string()),
            }
        }
        broken.map_or(Found::Wrong, Found::CouldNotTell)
    }
}

/// A stored hash is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Altered {
    /// It is not a hash string.
    #[error("{0}")]
    Unreadable(String),
    /// It cannot be checked here.
    #[error("version {0} of the pepper is not in the configuration")]
    NoPepper(KeyVersion),
    /// Its MAC does not match, under this version of the pepper.
    #[error(
        "bulla did not write it as it is, or the pepper is another one: find out who changed the store, and issue a new key"
    )]
    Row(KeyVersion),
}

/// The stored hash, if this service stored it for this key.
pub(crate) fn intact(id: &ApiKeyId, row: &SecretRow, peppers: &Peppers) -> Result<SecretHash, Altered> {
    let hash = SecretHash::parse(&row.phc, &Ceilings::default());
    let hash = hash.map_err(|error| Altered::Unreadable(error.to_string()))?;
    let version = hash.pepper_version();
    let pepper = peppers.find(version).ok_or(Altered::NoPepper(version))?;
    if pepper.is_intact(id, &row.phc, &row.binding, &row.mac) { Ok(hash) } else { Err(Altered::Row(version)) }
}
