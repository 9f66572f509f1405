//! What a follower knows: a pure function of the messages that it was given and the times at which it was.

use super::{FeedError, Head, LogId, Message};
use crate::{
    clock::CLOCK_DIFFERENCE,
    key_version::KeyVersion,
    keyring::VersionState,
    realm::Realm,
    revocation::{RevocationLog, Revocations},
};

/// The state of one who follows a feed. It only ever knows more: nothing but an event that resumes a key gives it back, and
/// a version that was compromised or destroyed stays refused.
#[derive(Clone, Debug)]
pub struct FeedState {
    realm: Option<Realm>,
    log_id: Option<LogId>,
    log: RevocationLog,
    this_update: u64,
    next_update: Option<u64>,
    keyring_serial: u64,
    versions: Vec<(KeyVersion, VersionState)>,
    refused: Vec<KeyVersion>,
}

/// What a message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Whether the end of the log is reached; else there is more to fetch at once.
    pub complete: bool,
    /// Whether the revocations, or the refused versions, may have changed.
    pub changed: bool,
}

impl FeedState {
    /// One who has heard nothing yet, of one realm or (`None`) of every one.
    pub fn new(realm: Option<Realm>) -> Self {
        FeedState {
            realm,
            log_id: None,
            log: RevocationLog::default(),
            this_update: 0,
            next_update: None,
            keyring_serial: 0,
            versions: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Takes in the message that goes on from here; `now` is in Unix seconds. Of one that is refused nothing counts.
    pub fn apply(&mut self, message: &Message, now: u64) -> Result<Applied, FeedError> {
        let head = message.head();
        self.check(head, now)?;
        let (after, seq) = (head.after, self.log.seq());
        let advanced = self.log.advance(message.events(), head.seq, head.head, now);
        let changed = advanced.map_err(|_| FeedError::NotNext { after, seq })?;
        self.log_id = Some(head.log_id);
        let complete = self.log.at_end();
        if head.this_update >= self.this_update {
            self.this_update = head.this_update;
            // Whoever has not reached the end does not know how things stand now.
            self.next_update = if complete { Some(head.next_update) } else { self.next_update };
        }
        let refuses_more = self.note_versions(head);
        Ok(Applied { complete, changed: changed || refuses_more })
    }

    /// Takes back what is due at `now`, in Unix seconds. Whether the revocations changed.
    pub fn due(&mut self, now: u64) -> bool {
        self.log.due(now)
    }

    /// Sweeps one part of the list, as [`Revocations::sweep_part`] does.
    pub fn sweep_part(&mut self, part: usize, now: u64) {
        self.log.sweep_part(part, now);
    }

    /// Forgets the place in the log, and nothing else, after [`FeedError::OtherLog`]: the next message is to come from the
    /// beginning.
    pub fn restart(&mut self) {
        self.log.restart();
        self.log_id = None;
    }

    /// The place in the log: what came after it is to be fetched next.
    pub fn seq(&self) -> u64 {
        self.log.seq()
    }

    /// The log, once a message of it came.
    pub fn log_id(&self) -> Option<LogId> {
        self.log_id
    }

    /// What is taken back. Cheap to clone.
    pub fn revocations(&self) -> &Revocations {
        self.log.revocations()
    }

    /// The state behind it, with what waits for its time.
    pub fn log(&self) -> &RevocationLog {
        &self.log
    }

    /// Whether it cannot be told any more how things stand at `now`, in Unix seconds: a message is overdue, or the end of
    /// the log was never reached.
    pub fn is_stale(&self, now: u64) -> bool {
        self.next_update.is_none_or(|next_update| now > next_update)
    }

    /// When the newest message was signed, in Unix seconds; 0 before the first.
    pub fn this_update(&self) -> u64 {
        self.this_update
    }

    /// Until when the state counts as fresh, in Unix seconds, once the end of the log was reached.
    pub fn next_update(&self) -> Option<u64> {
        self.next_update
    }

    /// The serial number of the newest keyring that was spoken of.
    pub fn keyring_serial(&self) -> u64 {
        self.keyring_serial
    }

    /// That keyring's versions and their states.
    pub fn versions(&self) -> &[(KeyVersion, VersionState)] {
        &self.versions
    }

    /// Every version that was ever said to be compromised or destroyed: for [`Verifier::refusing`](crate::verifier::Verifier::refusing).
    pub fn refused(&self) -> &[KeyVersion] {
        &self.refused
    }

    fn check(&self, head: &Head, now: u64) -> Result<(), FeedError> {
        let &Head { log_id, realm, after, this_update, .. } = head;
        if realm != self.realm {
            return Err(FeedError::OtherRealm { found: realm, expected: self.realm });
        }
        if let Some(expected) = self.log_id.filter(|expected| *expected != log_id) {
            return Err(FeedError::OtherLog { found: log_id, expected });
        }
        if after != self.log.seq() {
            return Err(FeedError::NotNext { after, seq: self.log.seq() });
        }
        if this_update.saturating_add(CLOCK_DIFFERENCE) < self.this_update {
            return Err(FeedError::Older { this_update, seen: self.this_update });
        }
        if this_update > now.saturating_add(CLOCK_DIFFERENCE) {
            return Err(FeedError::Future { this_update, now });
        }
        Ok(())
    }

    /// Whether there are more versions to refuse than before. A server that has an older keyring than another one of its
    /// fleet says nothing new.
    fn note_versions(&mut self, head: &Head) -> bool {
        let before = self.refused.len();
        let given_up = head.versions.iter().filter(|(_, state)| !state.opens()).map(|(version, _)| *version);
        self.refused.extend(given_up);
        self.refused.sort_unstable();
        self.refused.dedup();
        if head.keyring_serial >= self.keyring_serial {
            (self.keyring_serial, self.versions) = (head.keyring_serial, head.versions.clone());
        }
        self.refused.len() > before
    }
}
