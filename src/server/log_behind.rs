//! A store that is older than what its followers have read: one of them reports a place in this very log that the log
//! does not have. The store was put back to an older copy, or lost its end, while no service ran that remembers it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::failures::Failures;
use crate::store::{FollowerRow, LogPlace, Store, StoreError};

/// What [`Failures`] calls it.
const HEALTH: &str = "revocation log";

/// What reports said about the log's end.
#[derive(Default)]
pub(super) struct LogBehind(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// The end of the log when it was read last.
    end: Option<LogPlace>,
    /// The log that lacks its end.
    lacking: Option<String>,
}

impl Seen {
    /// Returns whether the known end does not settle what a report says.
    fn is_open(&self, row: &FollowerRow) -> bool {
        let Some(log_id) = &row.log_id else { return false };
        self.end.as_ref().is_none_or(|end| end.log_id != *log_id || end.seq < row.seq)
    }
}

impl LogBehind {
    /// Compares reports with the end of the log. A finding stays until another log begins: events that were
    /// appended since say nothing about those that are lost.
    pub(super) fn look(
        &self,
        store: &dyn Store,
        rows: &[FollowerRow],
        health: &Failures,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !rows.iter().any(|row| self.seen().is_open(row)) {
            return Ok(());
        }
        // Read behind the reports, so that no follower of a moment ago is ahead of it.
        let end = store.log_end()?;
        let ahead = rows.iter().filter(|row| row.is_ahead_of(&end)).max_by_key(|row| row.seq);
        let mut seen = self.seen();
        if let Some(row) = ahead.filter(|_| seen.lacking.as_ref() != Some(&end.log_id)) {
            let (name, place, ends_at) = (&row.name, row.seq, end.seq);
            tracing::error!(
                follower = name,
                place,
                end = ends_at,
                "a follower has read more of the revocation log than there is: the store is an older copy, or has lost its end"
            );
            let message = format!(
                "{name} has read this log up to {place}, and it ended at {ends_at}: the store is an older copy, or has lost its end, and \
                 what was revoked there is accepted here. Followers keep what they know. Put the newer store back; or give the log a new \
                 id and repeat what was done since, as `A restored backup` in docs/RECOVERY.md says"
            );
            health.note(HEALTH, Some(message), now);
            seen.lacking = Some(end.log_id.clone());
        } else if seen.lacking.as_ref().is_some_and(|lacking| *lacking != end.log_id) {
            seen.lacking = None;
            health.note(HEALTH, None, now);
            tracing::info!("another revocation log has begun");
        }
        seen.end = Some(end);
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
