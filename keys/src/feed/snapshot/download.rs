//! The body of a snapshot on its way from a server: what is cut off goes on at the chunk that was not whole.

use std::io::Read;

use super::SnapshotLoad;
use crate::feed::{FeedError, FollowError};

/// A download is abandoned after this many failures in a row, without a chunk between them.
const RETRIES: u32 = 3;

/// Where a body comes from.
pub(in crate::feed) trait Body {
    /// The body from this byte on, or all of it, and whether it is that part.
    fn begin_at(&self, byte: usize) -> Result<(Box<dyn Read + '_>, bool), FollowError>;

    /// Waits before the next try. It fails where nobody wants the body any more.
    fn pause(&self) -> Result<(), FollowError>;
}

/// Loads all chunks, and hands the bytes of each on once they are checked.
pub(in crate::feed) fn download(
    body: &dyn Body,
    load: &mut SnapshotLoad,
    mut checked: impl FnMut(&[u8]),
) -> Result<(), FollowError> {
    let mut failures = 0;
    while let Some(next) = load.next_range() {
        let Err(error) = chunks(body, load, &mut checked) else { continue };
        let went_on = load.next_range().is_some_and(|range| range.start > next.start);
        failures = if went_on { 1 } else { failures + 1 };
        // A snapshot that the server made wrong is so the next time, and one that is gone stays so.
        let for_good = matches!(error, FollowError::Refused(FeedError::Group { .. }) | FollowError::Status(404));
        if for_good || failures > RETRIES {
            return Err(error);
        }
        body.pause()?;
    }
    Ok(())
}

/// Loads chunks from where it stands, to the last.
fn chunks(body: &dyn Body, load: &mut SnapshotLoad, checked: &mut impl FnMut(&[u8])) -> Result<(), FollowError> {
    let Some(next) = load.next_range() else { return Ok(()) };
    let unreachable = |error: std::io::Error| FollowError::Unreachable(error.to_string().into());
    let (mut reader, is_part) = body.begin_at(next.start)?;
    if !is_part {
        // A server that knows no ranges sends everything.
        let skipped = std::io::copy(&mut (&mut reader).take(next.start as u64), &mut std::io::sink());
        skipped.map_err(unreachable)?;
    }
    let mut chunk = Vec::new();
    while let Some(range) = load.next_range() {
        chunk.resize(range.len(), 0);
        reader.read_exact(&mut chunk).map_err(unreachable)?;
        load.chunk(&chunk)?;
        checked(&chunk);
    }
    Ok(())
}
