//! Following the revocation log: the service keeps it in memory, a command reads it once.

use std::collections::BTreeMap;

use bulla::revocation::RevocationLog;

use super::{LogPart, Store, StoreError};

/// Damaged rows that are remembered.
const MAX_DAMAGED: usize = 1_000;

/// The log of a store, as far as it has been read.
#[derive(Default)]
pub(crate) struct Following {
    pub(crate) log: RevocationLog,
    log_id: Option<String>,
    /// Rows that could not be read whole, by their numbers.
    damaged: BTreeMap<u64, String>,
}

/// What a part of the log brought.
pub(crate) struct Progress {
    /// Whether the list may have changed.
    pub(crate) changed: bool,
    pub(crate) at_end: bool,
}

impl Following {
    /// Rows read from the log at a time.
    pub(crate) const CHUNK: u32 = 50_000;

    /// Reads new entries, and applies revocations that are due at `now`, in Unix seconds. Whether anything may have changed.
    pub(crate) fn read_on(&mut self, store: &dyn Store, now: u64) -> Result<bool, StoreError> {
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

    /// Whether everything up to this place of this log, and nothing else, has been read.
    pub(crate) fn is_at(&self, log_id: &str, seq: u64) -> bool {
        self.log_id.as_deref() == Some(log_id) && self.log.seq() == seq && self.damaged.is_empty()
    }

    /// Revokes what is due at `now`, in Unix seconds. Whether anything changed.
    pub(crate) fn due(&mut self, now: u64) -> bool {
        self.log.due(now)
    }

    /// Takes in what was read behind [`Following::place`], at `now`, in Unix seconds.
    pub(crate) fn advance(&mut self, part: LogPart, now: u64) -> Result<Progress, StoreError> {
        if self.is_elsewhere(&part.log_id, part.end) {
            // Another store replaced this one, usually a backup. What was revoked stays revoked.
            tracing::warn!(
                read = self.log.seq(),
                end = part.end,
                "revocation log was replaced, reading it from the beginning"
            );
            self.log.restart();
            self.damaged.clear();
            self.log_id = Some(part.log_id);
            return Ok(Progress { changed: false, at_end: false });
        }
        let changed = self
            .log
            .advance(&part.events, part.through, part.end, now)
            .map_err(|error| StoreError::Failed(format!("the log of revocations: {error}")))?;
        for row in part.damaged {
            if self.damaged.len() < MAX_DAMAGED && self.damaged.insert(row.seq, row.what.clone()).is_none() {
                let what = row.what;
                tracing::error!(row = row.seq, what, "row of the revocation log is damaged, reading the others");
            }
        }
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
                "rows of the log of revocations that cannot be read: {}. {}. Find out who changed the store; revoking such a \
                 key again, or deleting the row, sets it right",
                self.damaged.len(),
                rows.join("; ")
            )
        })
    }

    fn is_elsewhere(&self, log_id: &str, end: u64) -> bool {
        end < self.log.seq() || self.log_id.as_deref().is_some_and(|known| known != log_id)
    }
}
