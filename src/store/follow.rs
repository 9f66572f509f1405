//! Following the log of revocations: what the service keeps in memory, and what a command looks at once.

use bulla::RevocationLog;

use super::{Store, StoreError};

/// Rows that are read from the log at a time.
const CHUNK: u32 = 50_000;

/// The log of a store, as far as it has been read.
#[derive(Default)]
pub(crate) struct Following {
    pub(crate) log: RevocationLog,
    log_id: Option<String>,
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
                part = store.revocations_after(0, CHUNK)?;
            }
            changed |= self
                .log
                .advance(&part.events, part.through, part.end, now)
                .map_err(|error| StoreError::Failed(format!("the log of revocations: {error}")))?;
            self.log_id = Some(part.log_id);
            if self.log.at_end() {
                return Ok(changed);
            }
        }
    }

    fn is_elsewhere(&self, log_id: &str, end: u64) -> bool {
        end < self.log.seq() || self.log_id.as_deref().is_some_and(|known| known != log_id)
    }
}
