//! Following the log of revocations: what the service keeps in memory, and what a command looks at once.

use std::collections::BTreeMap;

use bulla::RevocationLog;

use super::{Store, StoreError};

/// Rows that are read from the log at a time.
const CHUNK: u32 = 50_000;

/// Damaged rows that are kept in mind; more are as bad.
const DAMAGED: usize = 1_000;

/// The log of a store, as far as it has been read.
#[derive(Default)]
pub(crate) struct Following {
    pub(crate) log: RevocationLog,
    log_id: Option<String>,
    /// Rows that could not be read whole, by their numbers.
    damaged: BTreeMap<u64, String>,
}

impl Following {
    /// Reads what the log has more, and takes back what is due at `now`, in Unix seconds. Whether anything may have changed.
    pub(crate) fn read_on(&mut self, store: &dyn Store, now: u64) -> Result<bool, StoreError> {
        let mut changed = self.log.due(now);
        loop {
            let mut part = store.revocations_after(self.log.seq(), CHUNK)?;
            if self.is_elsewhere(&part.log_id, part.end) {
                // Another store in this one's place, as a rule a backup. What was taken back stays so.
                tracing::warn!(
                    read = self.log.seq(),
                    end = part.end,
                    "the log of revocations was replaced: it is read anew"
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
                if self.damaged.len() < DAMAGED && self.damaged.insert(row.seq, row.what.clone()).is_none() {
                    let what = row.what;
                    tracing::error!(
                        row = row.seq,
                        what,
                        "a row of the log of revocations is damaged; the others are read"
                    );
                }
            }
            self.log_id = Some(part.log_id);
            // A restore in the middle may have moved the end back.
            if self.log.at_end() || self.log.seq() >= part.end {
                return Ok(changed);
            }
        }
    }

    /// Forgets damaged rows that were set right or are gone.
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

    /// Which rows are damaged, and what to do; `None` where none is.
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
