//! Snapshots: what a follower knows at one place of the log, in few bytes. A signed manifest has the hash of each chunk
//! of the body, so that a chunk is checked by itself and a download goes on where it was cut off.

mod download;
mod group;
mod load;
mod manifest;

use sha2::{Digest, Sha256};

pub(in crate::feed) use self::download::{Body, download};
pub use self::{
    load::{LoadedSnapshot, SnapshotLoad},
    manifest::SnapshotHead,
};
use super::{FeedError, SigningKey, VerifyingKey, envelope};
use crate::{
    keyring::VersionState,
    keyring_id::KeyringId,
    revocation::{LiveSet, RevocationLog},
};

/// A chunk of the body: its length and its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    bytes: u32,
    sha256: [u8; 32],
}

/// The manifest of a snapshot, whose signature holds.
///
/// ```
/// # use bulla::{feed::{self, FeedState, Snapshot, SnapshotHead, SnapshotLoad}, keyring::KeyringId, revocation::{Change, RevocationEvent, RevocationLog}};
/// # let (keyring_id, log_id, now) = (KeyringId::from_bytes([1; 16]), feed::LogId::from_bytes([2; 16]), 1_800_000_000);
/// # let key = feed::SigningKey::from_seed(&zeroize::Zeroizing::new([3; 32]));
/// # let id: bulla::ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse()?;
/// # let mut log = RevocationLog::default();
/// log.advance(&[RevocationEvent::at_once(7, Change::Revoke { id, expires_at: None })], 7, 7, now)?;
///
/// // The service writes down what its log says.
/// let head = SnapshotHead { keyring_id, log_id, realm: None, this_update: now, keyring_serial: 3, versions: Vec::new() };
/// let (manifest, body) = Snapshot::write(&head, &log, &key)?;
///
/// // A follower checks the manifest, and loads the body chunk by chunk.
/// let mut load = SnapshotLoad::new(Snapshot::read(&manifest, keyring_id, &key.verifying_key())?);
/// while let Some(range) = load.next_range() {
///     load.chunk(&body[range])?;
/// }
/// let mut state = FeedState::new(None);
/// state.load(load.finish()?, now)?;
/// assert!(state.revocations().contains(&id, uuid::Uuid::nil(), 0));
/// assert_eq!(state.seq(), 7, "from here it goes on with messages");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    head: SnapshotHead,
    seq: u64,
    live: LiveSet,
    chunks: Vec<Chunk>,
}

impl Snapshot {
    /// Reads a manifest of this keyring's feed.
    pub fn read(bytes: &[u8], keyring_id: KeyringId, key: &VerifyingKey) -> Result<Self, FeedError> {
        let signed = envelope::open(bytes, keyring_id, key)?;
        let snapshot = manifest::read(signed)?;
        match snapshot.head.keyring_id {
            found if found == keyring_id => Ok(snapshot),
            found => Err(FeedError::OtherKeyring { found, expected: keyring_id }),
        }
    }

    /// Writes down and signs what a log says at its place: the manifest and the body.
    pub fn write(head: &SnapshotHead, log: &RevocationLog, key: &SigningKey) -> Result<(Vec<u8>, Vec<u8>), FeedError> {
        let destroyed = head.destroyed();
        let chunks = group::write(log, head.realm, &destroyed);
        let from = LiveSet::from_day_of(head.this_update);
        let hashed =
            chunks.iter().map(|chunk| Chunk { bytes: chunk.len() as u32, sha256: Sha256::digest(chunk).into() });
        let snapshot = Snapshot {
            head: head.clone(),
            seq: log.seq(),
            live: log.live(head.realm, from, &destroyed),
            chunks: hashed.collect(),
        };
        let signed = manifest::write(&snapshot);
        manifest::read(signed.as_bytes())?;
        Ok((envelope::seal(signed, head.keyring_id, key)?, chunks.concat()))
    }

    /// What it says of itself.
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// The place in the log.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What it comes to.
    pub fn live(&self) -> LiveSet {
        self.live
    }

    /// The bytes of the body.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum()
    }

    /// The name of the body: 64 hexadecimal digits.
    pub fn name(&self) -> String {
        hex::encode(self.name_bytes())
    }

    pub(super) fn name_bytes(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        self.chunks.iter().for_each(|chunk| all.update(chunk.sha256));
        all.finalize().into()
    }
}

impl SnapshotHead {
    /// The key versions whose ids do not count.
    fn destroyed(&self) -> Vec<u32> {
        let destroyed = self.versions.iter().filter(|(_, state)| *state == VersionState::Destroyed);
        destroyed.map(|(version, _)| version.number()).collect()
    }
}
