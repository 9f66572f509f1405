//! Following the revocation log: the service keeps it in memory, a command reads it once.

use std::collections::{BTreeMap, VecDeque};

use bulla::revocation::{RevocationEvent, RevocationLog};

use super::{LogPart, LostEnd, Store, StoreError};

/// Damaged rows that are remembered.
const MAX_DAMAGED: usize = 1_000;

/// The latest events are remembered, for when a database fails over to a standby that does not have them yet.
const RECENT: usize = 20_000;

/// The log of a store, as far as it has been read.
#[derive(Default)]
pub(crate) struct LogTail {
    pub(crate) log: RevocationLog,
    log_id: Option<String>,
    /// Rows that could not be read whole, by their numbers.
    damaged: BTreeMap<u64, String>,
    recent: VecDeque<RevocationEvent>,
    lost: Option<LostEnd>,
}

/// What a part of the log brought.
pub(crate) struct Progress {
    /// Whether the list may have changed.
    pub(crate) changed: bool,
    pub(crate) at_end: bool,
}

impl LogTail {
    /// Rows read from the log at a time.
    pub(crate) const CHUNK: u32 = 20_000;

    /// Reads new entries, and applies revocations that are due at `now`, in Unix seconds. Returns whether anything may
    /// have changed.
    pub(crate) fn poll(&mut self, store: &dyn Store, now: u64) -> Result<bool, StoreError> {
        let mut changed = self.due(now);
        loop {
            let progress = self.advance(store.revocations_after(self.place(), Self::CHUNK)?, now)?;
            changed |= progress.changed;
            if progress.at_end {
                return Ok(changed);
            }
        }
    }

    /// The place in the log behind which to read on.
    pub(crate) fn place(&self) -> u64 {
        self.log.seq()
    }

    /// The id of the log that was read.
    pub(crate) fn log_id(&self) -> Option<&str> {
        self.log_id.as_deref()
    }

    /// Returns whether everything up to this place of this log, and nothing else, has been read.
    pub(crate) fn is_at(&self, log_id: &str, seq: u64) -> bool {
        self.log_id.as_deref() == Some(log_id) && self.log.seq() == seq && self.damaged.is_empty()
    }

    /// Revokes what is due at `now`, in Unix seconds. Returns whether anything changed.
    pub(crate) fn due(&mut self, now: u64) -> bool {
        self.log.due(now)
    }

    /// Takes in what was read behind [`LogTail::place`], at `now`, in Unix seconds.
    pub(crate) fn advance(&mut self, part: LogPart, now: u64) -> Result<Progress, StoreError> {
        if self.is_elsewhere(&part) {
            // Another store replaced this one, usually a backup, or it failed over. Revoked keys stay revoked.
            tracing::warn!(
                read = self.log.seq(),
                kept = part.kept,
                end = part.end,
                "revocation log was replaced, reading it from the beginning"
            );
            self.note_lost(&part);
            self.log.restart();
            self.damaged.clear();
            self.log_id = Some(part.log_id);
            return Ok(Progress { changed: false, at_end: false });
        }
        let changed = self
            .log
            .advance(&part.events, part.through, part.end, now)
            .map_err(|error| StoreError::Failed(format!("the revocation log: {error}")))?;
        for row in part.damaged {
            if self.damaged.len() < MAX_DAMAGED && self.damaged.insert(row.seq, row.what.clone()).is_none() {
                let what = row.what;
                tracing::error!(row = row.seq, what, "row of the revocation log is damaged, reading the others");
            }
        }
        self.remember(&part.events);
        self.log_id = Some(part.log_id);
        // A restore meanwhile may have moved the end back.
        Ok(Progress { changed, at_end: self.log.at_end() || self.log.seq() >= part.end })
    }

    /// The rows that are damaged.
    pub(crate) fn damaged_rows(&self) -> Vec<u64> {
        self.damaged.keys().copied().collect()
    }

    /// Forgets those of `rows` that were repaired or deleted, and are not among `still`.
    pub(crate) fn forget_repaired(&mut self, rows: &[u64], still: &[u64]) {
        self.damaged.retain(|row, _| still.contains(row) || !rows.contains(row));
    }

    /// How many rows are damaged.
    pub(crate) fn damaged(&self) -> usize {
        self.damaged.len()
    }

    /// The damaged rows, with what to do about them; `None` without any.
    pub(crate) fn damage(&self) -> Option<String> {
        let rows: Vec<String> = self.damaged.iter().take(3).map(|(row, what)| format!("row {row}: {what}")).collect();
        (!rows.is_empty()).then(|| {
            format!(
                "rows of the revocation log that cannot be read: {}. {}. Find out who changed the store; revoking such a \
                 key again, or deleting the row, sets it right",
                self.damaged.len(),
                rows.join("; ")
            )
        })
    }

    /// What the log lost after it was read here, until [`LogTail::forget_lost`].
    pub(crate) fn lost(&self) -> Option<LostEnd> {
        self.lost.clone()
    }

    /// Forgets what was lost: it is in the log again.
    pub(crate) fn forget_lost(&mut self) {
        self.lost = None;
    }

    fn is_elsewhere(&self, part: &LogPart) -> bool {
        part.kept < self.log.seq() || self.log_id.as_deref().is_some_and(|known| known != part.log_id)
    }

    fn remember(&mut self, events: &[RevocationEvent]) {
        self.recent.extend(events.iter().skip(events.len().saturating_sub(RECENT)));
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
    }

    /// Keeps what the log had behind the place that is left of it. A loss that was not yet repaired comes first.
    fn note_lost(&mut self, part: &LogPart) {
        let recent = std::mem::take(&mut self.recent);
        let Some(log_id) = self.log_id.clone().filter(|_| part.kept < self.log.seq()) else { return };
        let place = self.log.seq();
        let mut lost = self.lost.take().unwrap_or(LostEnd { log_id, place, events: Vec::new() });
        lost.place = lost.place.max(place);
        lost.events.extend(recent.into_iter().filter(|event| event.seq > part.kept));
        self.lost = Some(lost);
    }
}

#[cfg(test)]
mod tests {
    use bulla::{ApiKeyId, revocation::Change};

    use super::*;

    fn revoked(seq: u64) -> RevocationEvent {
        let id: ApiKeyId = format!("live_00000X{seq:016}").parse().expect("an id");
        RevocationEvent::at_once(seq, Change::Revoke { id, expires_at: None })
    }

    fn part(log_id: &str, events: impl IntoIterator<Item = u64>, end: u64, kept: u64) -> LogPart {
        let events: Vec<_> = events.into_iter().map(revoked).collect();
        LogPart {
            log_id: log_id.to_owned(),
            events,
            damaged: Vec::new(),
            through: end,
            end,
            kept,
            of_earlier_log: false,
        }
    }

    fn read_to(end: u64) -> LogTail {
        let mut following = LogTail::default();
        following.advance(part("one", 1..=end, end, 0), 0).expect("read");
        following
    }

    #[test]
    fn what_a_failover_lost_is_remembered_and_stays_revoked() {
        // The standby has 1 to 7, as the same log; or another process has begun a new one there, and appended to it.
        for (log_id, end) in [("one", 7), ("other", 7), ("one", 1_000_000_001), ("other", 1_000_000_003)] {
            let mut following = read_to(9);
            let progress = following.advance(part(log_id, [], end, 7), 0).expect("noticed");
            assert!(!progress.at_end, "it reads from the beginning");
            let lost = LostEnd { log_id: "one".to_owned(), place: 9, events: vec![revoked(8), revoked(9)] };
            assert_eq!((following.place(), following.lost()), (0, Some(lost)), "{log_id} {end}");
            assert_eq!(following.log.revocations().len(), 9);
            following.forget_lost();
            assert!(following.advance(part(log_id, 1..=7, end, 0), 0).expect("read").at_end);
            assert_eq!((following.lost(), following.log.revocations().len()), (None, 9));
        }
    }

    #[test]
    fn two_losses_before_the_first_is_repaired_are_one() {
        let mut following = read_to(9);
        following.advance(part("one", [], 8, 8), 0).expect("noticed");
        following.advance(part("one", 1..=8, 8, 0), 0).expect("read");
        following.advance(part("one", [], 6, 6), 0).expect("noticed");
        let events: Vec<u64> =
            following.lost().map(|lost| lost.events.iter().map(|event| event.seq).collect()).expect("lost");
        assert_eq!((events, following.lost().expect("lost").place), (vec![9, 7, 8], 9));
    }

    #[test]
    fn a_failover_that_lost_nothing_and_another_log_of_the_same_length_are_no_loss() {
        let mut following = read_to(9);
        following.advance(part("one", 1_000_000_001..=1_000_000_002, 1_000_000_002, 9), 0).expect("read");
        assert_eq!((following.place(), following.lost()), (1_000_000_002, None));
        following.advance(part("other", [], 1_000_000_002, 1_000_000_002), 0).expect("noticed");
        assert_eq!((following.place(), following.lost()), (0, None));
    }

    #[test]
    fn only_the_latest_events_are_remembered() {
        let mut following = read_to(RECENT as u64 + 5);
        assert_eq!((following.recent.len(), following.recent[0].seq), (RECENT, 6));
        following
            .advance(part("one", RECENT as u64 + 6..=RECENT as u64 + 7, RECENT as u64 + 7, RECENT as u64 + 5), 0)
            .expect("read");
        assert_eq!((following.recent.len(), following.recent[0].seq), (RECENT, 8));
    }
}
