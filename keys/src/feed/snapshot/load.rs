//! Loading a snapshot, chunk by chunk as they come.

use std::{fmt, ops::Range};

use sha2::{Digest, Sha256};

use super::{Snapshot, group};
use crate::{feed::FeedError, revocation::Bulk};

/// A snapshot while a follower loads it. The body is not kept: each chunk is taken apart as it comes.
pub struct SnapshotLoad {
    snapshot: Snapshot,
    bulk: Bulk,
    /// The next chunk, and where it begins.
    at: usize,
    offset: usize,
}

/// A snapshot that is whole: for [`FeedState::load`](crate::feed::FeedState::load).
pub struct LoadedSnapshot {
    pub(in crate::feed) snapshot: Snapshot,
    pub(in crate::feed) bulk: Bulk,
}

impl SnapshotLoad {
    /// Begins to load.
    pub fn new(snapshot: Snapshot) -> Self {
        SnapshotLoad { snapshot, bulk: Bulk::default(), at: 0, offset: 0 }
    }

    /// The manifest.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Where in the body the next chunk is; `None` behind the last. A download that was cut off goes on here.
    pub fn next_range(&self) -> Option<Range<usize>> {
        let chunk = self.snapshot.chunks.get(self.at)?;
        Some(self.offset..self.offset + chunk.bytes as usize)
    }

    /// Takes the next chunk. A chunk that is refused changes nothing, unless the server made it so.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), FeedError> {
        let wrong = FeedError::Chunk { chunk: self.at };
        let Some(expected) = self.snapshot.chunks.get(self.at) else { return Err(wrong) };
        if bytes.len() != expected.bytes as usize || Sha256::digest(bytes)[..] != expected.sha256 {
            return Err(wrong);
        }
        if !group::read(bytes, self.snapshot.head.realm, &mut self.bulk) {
            return Err(FeedError::Group { chunk: self.at });
        }
        (self.at, self.offset) = (self.at + 1, self.offset + bytes.len());
        Ok(())
    }

    /// The whole, if it comes to what the manifest says.
    pub fn finish(mut self) -> Result<LoadedSnapshot, FeedError> {
        if self.at < self.snapshot.chunks.len() {
            return Err(FeedError::Chunk { chunk: self.at });
        }
        let (head, live) = (&self.snapshot.head, self.snapshot.live);
        if self.bulk.live(head.realm, live.from, &head.destroyed()) != live {
            return Err(FeedError::Live);
        }
        Ok(LoadedSnapshot { snapshot: self.snapshot, bulk: self.bulk })
    }
}

impl fmt::Debug for SnapshotLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotLoad").field("seq", &self.snapshot.seq).field("chunk", &self.at).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoadedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedSnapshot").field("seq", &self.snapshot.seq).finish_non_exhaustive()
    }
}
