//! Which log a stream follows. A database that was divided has two halves with a log each, and sources at both halves:
//! the messages of one must not have the followers of the other start again, over and over.

use std::time::{Duration, Instant};

use bulla::{
    CLOCK_DIFFERENCE,
    feed::{FeedError, Head, LogId},
};

use super::stream::Newest;

/// How long `/readyz` shows that a source offers a log that was left.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// The logs that a stream has left for another one.
///
/// It goes over to a log that is new to it, and never back while messages of the log that it follows still count. So it
/// begins anew once for each log. If the log that it left is the one that goes on, messages of the other one cease to
/// count, followers become stale, and the stream goes back. Nothing is forgotten by that: a follower that starts again
/// keeps every revocation of both logs.
#[derive(Default)]
pub(super) struct Logs {
    left: Vec<LogId>,
    /// When a message was refused for its log, that log, and the one that was followed.
    refused: Option<(Instant, LogId, LogId)>,
}

impl Logs {
    /// Checks whether a message may be handed on to those who know the newest one.
    pub(super) fn check(&mut self, head: &Head, known: Option<&Newest>, now: u64) -> Result<(), FeedError> {
        let Some(known) = known.filter(|known| known.log_id != head.log_id) else { return Ok(()) };
        if self.left.contains(&head.log_id) && known.is_fresh() {
            self.refused = Some((Instant::now(), head.log_id, known.log_id));
            return Err(FeedError::OtherLog { found: head.log_id, expected: known.log_id });
        }
        // An old message of a log that ended, repeated. Followers refuse it, too. A message on the way to the end may
        // be older: another relay keeps it for a while.
        let is_end = head.seq == head.after;
        let is_ahead = known.this_update > now.saturating_add(CLOCK_DIFFERENCE);
        if is_end && head.this_update < known.this_update && !is_ahead {
            return Err(FeedError::Older { this_update: head.this_update, seen: known.this_update });
        }
        Ok(())
    }

    /// Notes that another log is followed from now on.
    pub(super) fn leave(&mut self, log_id: LogId) {
        if !self.left.contains(&log_id) {
            self.left.push(log_id);
        }
    }

    /// Which log a source offered a short while ago although it was left.
    pub(super) fn trouble(&self) -> Option<String> {
        let (_, left, followed) = self.refused.filter(|(at, ..)| at.elapsed() < SHOWN_FOR)?;
        Some(format!(
            "a source offers the log {left}, which was left for {followed}: two databases may be in use as one store. \
             Stop the one that is not to be used, and the nodes at it"
        ))
    }
}
