//! Following the revocation log: the service keeps it in memory, a command reads it once.

use std::collections::BTreeMap;

use bulla::RevocationLog;

use super::{Store, StoreError};

/// Rows read from the log at a time.
const CHUNK: u32 = 50_000;

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

impl Following {
    /// Reads new entries, and applies revocations that are due at `now`, in Unix seconds. Whether anything may have changed.
    pub(crate) fn read_on(&mut self, store: &dyn Store, now: u64) -> Result<bool, StoreError> {
        let mut changed = self.log.due(now);
        loop {
            let mut part = store.revocations_after(self.log.seq(), CHUNK)?;
            if self.is_elsewhere(&part.log_id, part.end) {
                // Another store replaced this one, usually a backup. What was revoked stays revoked.
                tracing::warn!(
                    read = self.log.seq(),
                    end = part.end,
                    "revocation log was replaced, reading it from the beginning"
                );
                self.log.restart();
                self.damaged.clear();
                part = store.revocations_after(0, CHUNK)?;
            }
            changed |= self
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
            if self.log.at_end() || self.log.seq() >= part.end {
                return Ok(changed);
            }
        }
    }

    /// Forgets damaged rows that were repaired or removed.
    pub(crate) fn look_at_damaged(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if !self.damaged.is_empty() {
            let rows: Vec<u64> = self.damaged.keys().copied().collect();
            let still = store.still_damaged(&rows)?;
            self.damaged.retain(|row, _| still.contains(row));
        }
        Ok(())
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
