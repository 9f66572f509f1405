//! What will be published: files that are written already, and the head object that will name them.

use bulla::feed::{
    Head, LogId,
    static_feed::{BaseName, BodyName, FileName, HeadObject, SnapshotName, write_base},
};

use super::compaction;

/// The most files that a head object names; the older half then goes into the list from the beginning.
const MAX_FILES: usize = 64;
/// Files before the end of the list that the head object names, too, in bytes: who is a little behind when the list is
/// made anew fetches these, and not the list's.
const KEPT: usize = 1 << 20;
/// A log whose files are longer than that has a snapshot, in bytes: shorter ones are read as fast.
const SNAPSHOT_FROM: usize = 256 << 10;
/// Another snapshot is made once this one is so far behind, and a quarter of the log.
const SNAPSHOT_BEHIND: u64 = 10_000;

/// A publication in the making, or the one that is there.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) log_id: LogId,
    /// The files from the beginning of the log.
    pub(super) base: Vec<FileName>,
    /// When they were begun anew, in Unix seconds.
    pub(super) base_since: u64,
    /// The files that the head object names.
    pub(super) files: Vec<FileName>,
    /// A snapshot: its manifest and its body.
    pub(super) snapshot: Option<(SnapshotName, BodyName)>,
    /// The newest message, and its head.
    pub(super) newest: Option<(Vec<u8>, Head)>,
}

impl Draft {
    pub(super) fn new(log_id: LogId, now: u64) -> Self {
        Draft { log_id, base: Vec::new(), base_since: now, files: Vec::new(), snapshot: None, newest: None }
    }

    /// Returns whether a follower that begins is better off with another snapshot.
    pub(super) fn lacks_snapshot(&self) -> bool {
        let behind = self.snapshot.as_ref().map(|(name, _)| self.place().saturating_sub(name.seq));
        match behind {
            Some(behind) => behind > SNAPSHOT_BEHIND.max(self.place() / 4),
            None => self.base.iter().chain(&self.files).map(FileName::bytes).sum::<usize>() > SNAPSHOT_FROM,
        }
    }

    /// The place in the log that the files go to.
    pub(super) fn place(&self) -> u64 {
        self.files.last().or(self.base.last()).map_or(0, |file| file.seq)
    }

    /// The last files of the head object, up to some length.
    pub(super) fn tail(&self) -> Vec<FileName> {
        let mut bytes = 0;
        let too_much = self.files.iter().rposition(|file| {
            bytes += file.bytes();
            bytes > KEPT
        });
        self.files[too_much.map_or(0, |at| at + 1)..].to_vec()
    }

    /// Drops the files that are worth merging: the log behind the place is read once more.
    pub(super) fn drop_mergeable(&mut self) -> bool {
        let places: Vec<u64> = self.files.iter().map(|file| file.seq - file.after).collect();
        let Some(first) = compaction::merge_from(&places) else { return false };
        if first == 0 && self.files[0].after > 0 && self.base.last().is_none_or(|last| last.seq < self.files[0].after) {
            return false;
        }
        self.files.truncate(first);
        true
    }

    /// Keeps the head object small: its oldest files go into the list from the beginning.
    pub(super) fn settle(&mut self) {
        if self.base.is_empty() {
            // The first files begin at 0, and are the list.
            let last = self.tail();
            self.base = std::mem::replace(&mut self.files, last);
        }
        if self.files.len() <= MAX_FILES {
            return;
        }
        let moved = self.files.len() - MAX_FILES / 2;
        for from in 0..moved {
            // A merged file may begin before the end of the list.
            let start = self.files[from].after;
            if let Some(kept) = self.base.iter().rposition(|file| file.seq == start) {
                self.base.truncate(kept + 1);
                self.base.extend(&self.files[from..moved]);
                self.files.drain(..moved);
                return;
            }
        }
    }

    /// The list of the files from the beginning of the log, if there are any.
    pub(super) fn list(&self) -> Option<(BaseName, Vec<u8>)> {
        let (last, bytes) = (self.base.last()?, write_base(&self.base));
        Some((BaseName::of(last.seq, &bytes), bytes))
    }

    /// The head object, once there is a newest message.
    pub(super) fn head_object(&self) -> Option<HeadObject> {
        Some(HeadObject {
            base: self.list().map(|(name, _)| name),
            base_since: Some(self.base_since),
            snapshot: self.snapshot.map(|(name, _)| name),
            files: self.files.clone(),
            newest: self.newest.as_ref()?.0.clone(),
        })
    }

    /// The names of the files that this publication needs.
    pub(super) fn needs(&self) -> impl Iterator<Item = String> + '_ {
        let base = self.list().map(|(name, _)| name.to_string());
        let snapshot = self.snapshot.map(|(manifest, body)| [manifest.to_string(), body.to_string()]);
        self.base.iter().chain(&self.files).map(FileName::to_string).chain(base).chain(snapshot.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(after: u64, seq: u64, bytes: usize) -> FileName {
        FileName::of(after, seq, &vec![0; bytes])
    }

    fn draft(base: Vec<FileName>, files: Vec<FileName>) -> Draft {
        Draft { base, files, ..Draft::new(LogId::from_bytes([1; 16]), 0) }
    }

    #[test]
    fn the_first_files_are_the_list_and_the_last_of_them_stand_in_the_head_too() {
        let large = |at: u64| file(at * 10, at * 10 + 10, 700_000);
        let mut first = draft(vec![], (0..5).map(large).collect());
        first.settle();
        assert_eq!((first.base.len(), first.files.clone(), first.place()), (5, vec![large(4)], 50));
        let mut small = draft(vec![], vec![file(0, 3, 10)]);
        small.settle();
        assert_eq!((small.base.len(), small.files.len()), (1, 1));
        let mut none = draft(vec![], vec![]);
        none.settle();
        assert_eq!(none.place(), 0);
    }

    #[test]
    fn the_oldest_files_of_a_long_head_go_into_the_list() {
        let one = |at: u64| file(at, at + 1, 10);
        // The first begins before the end of the list: it was merged from what stood on both sides of it.
        let files = std::iter::once(file(3, 6, 10)).chain((6..80).map(one)).collect();
        let mut long = draft((0..5).map(one).collect(), files);
        long.settle();
        assert_eq!(long.files.len(), MAX_FILES / 2);
        let list = [&long.base[..], &long.files[..]].concat();
        assert!(list.windows(2).all(|pair| pair[0].seq == pair[1].after), "{list:?}");
        assert_eq!((list[0].after, list[3], long.place()), (0, file(3, 6, 10), 80));
    }

    #[test]
    fn a_long_log_has_a_snapshot_and_another_one_once_that_is_far_behind() {
        let snapshot_of =
            |seq| Some((SnapshotName::of(seq, b""), format!("body-{}", "0f".repeat(32)).parse().expect("a name")));
        let mut log = draft(vec![file(0, 3_000, 200_000)], vec![file(3_000, 3_500, 50_000)]);
        assert!(!log.lacks_snapshot(), "it is short");
        log.files.push(file(3_500, 4_000, 50_000));
        assert!(log.lacks_snapshot());
        log.snapshot = snapshot_of(3_500);
        assert!(!log.lacks_snapshot() && log.needs().any(|name| name.starts_with("body-")));
        log.files.push(file(4_000, 13_501, 50_000));
        assert!(log.lacks_snapshot());
        log.files.push(file(13_501, 1_000_000, 50_000));
        log.snapshot = snapshot_of(760_000);
        assert!(!log.lacks_snapshot(), "less than a quarter is behind it");
    }

    #[test]
    fn small_files_are_taken_back_and_read_again_as_one() {
        let one = |at: u64| file(at, at + 1, 10);
        let mut few = draft(vec![one(0)], (1..8).map(one).collect());
        assert!(!few.drop_mergeable());
        few.files.push(one(8));
        assert!(few.drop_mergeable());
        assert_eq!(few.place(), 1);
    }
}
