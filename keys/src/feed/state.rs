//! What a follower knows: a pure function of the messages it received and the times at which it received them.

use std::ops::RangeInclusive;

use super::{FeedError, Head, LogId, Message};
use crate::{
    clock::CLOCK_DIFFERENCE,
    key_version::KeyVersion,
    keyring::VersionState,
    realm::Realm,
    revocation::{RevocationLog, Revocations},
};

/// The state of a follower. It only ever knows more: only an event that resumes a key ends its suspension, and a version that
/// was compromised or destroyed stays refused.
#[derive(Clone, Debug)]
pub struct FeedState {
    pub(super) realm: Option<Realm>,
    pub(super) log_id: Option<LogId>,
    pub(super) log: RevocationLog,
    pub(super) this_update: u64,
    pub(super) next_update: Option<u64>,
    pub(super) keyring_serial: u64,
    pub(super) versions: Vec<(KeyVersion, VersionState)>,
    pub(super) refused: Vec<KeyVersion>,
}

/// What a message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Whether the end of the log is reached; else there is more to fetch at once.
    pub complete: bool,
    /// Whether the revocations, or the refused versions, may have changed.
    pub changed: bool,
}

impl FeedState {
    /// A follower of one realm or (`None`) of every realm, before its first message.
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

    /// Applies the message that goes on from here; `now` is in Unix seconds. A refused message changes nothing.
    pub fn apply(&mut self, message: &Message, now: u64) -> Result<Applied, FeedError> {
        let head = message.head();
        self.check(head, now)?;
        let (after, seq) = (head.after, self.log.seq());
        let advanced = self.log.advance(message.events(), head.seq, head.head, now);
        let changed = advanced.map_err(|_| FeedError::NotNext { after, seq })?;
        self.log_id = Some(head.log_id);
        let complete = self.log.at_end();
        let was_ahead = self.is_ahead(now);
        if was_ahead || head.this_update >= self.this_update {
            self.this_update = head.this_update;
            // Before the end of the log the present state is not known.
            let before = self.next_update.filter(|_| !was_ahead);
            self.next_update = if complete { Some(head.next_update) } else { before };
        }
        let refuses_more = self.note_versions(head);
        Ok(Applied { complete, changed: changed || refuses_more })
    }

    /// Applies a message that may have been signed long ago, on the way to the place that `newest` goes on from. It begins at
    /// this state's place or before, and what is known already is skipped. Nothing becomes fresh by it: apply `newest` once its
    /// place is reached. A refused message changes nothing.
    pub fn catch_up(&mut self, part: &Message, newest: &Message, now: u64) -> Result<Applied, FeedError> {
        let (part, events, newest) = (part.head(), part.events(), newest.head());
        let seq = self.log.seq();
        self.check_all_but_place(newest, now)?;
        if part.realm != self.realm {
            return Err(FeedError::OtherRealm { found: part.realm, expected: self.realm });
        }
        if part.log_id != newest.log_id {
            return Err(FeedError::OtherLog { found: part.log_id, expected: newest.log_id });
        }
        if part.after > seq || part.seq < seq || part.seq > newest.after {
            return Err(FeedError::NotNext { after: part.after, seq });
        }
        // That the log goes on to there keeps the part from ending a suspension that was renewed behind it.
        let news = &events[events.partition_point(|event| event.seq <= seq)..];
        let advanced = self.log.advance(news, part.seq, newest.head, now);
        let changed = advanced.map_err(|_| FeedError::NotNext { after: part.after, seq })?;
        self.log_id = Some(newest.log_id);
        let refuses_more = self.note_versions(part) | self.note_versions(newest);
        Ok(Applied { complete: false, changed: changed || refuses_more })
    }

    /// Revokes what is due at `now`, in Unix seconds. Whether the revocations changed.
    pub fn due(&mut self, now: u64) -> bool {
        self.log.due(now)
    }

    /// Sweeps one part of the list, as [`Revocations::sweep_part`] does.
    pub fn sweep_part(&mut self, part: usize, now: u64) {
        self.log.sweep_part(part, now);
    }

    /// Forgets the place in the log, and nothing else, after [`FeedError::OtherLog`]: the next message must come from the
    /// beginning.
    pub fn restart(&mut self) {
        self.log.restart();
        self.log_id = None;
    }

    /// The place in the log: fetch what came after it next.
    pub fn seq(&self) -> u64 {
        self.log.seq()
    }

    /// The log's id, after its first message.
    pub fn log_id(&self) -> Option<LogId> {
        self.log_id
    }

    /// The revocations. Cheap to clone.
    pub fn revocations(&self) -> &Revocations {
        self.log.revocations()
    }

    /// The state of the log, with the revocations that wait for their time.
    pub fn log(&self) -> &RevocationLog {
        &self.log
    }

    /// Whether the state is stale at `now`, in Unix seconds: a message is overdue, the end of the log was never reached, or the
    /// newest message was signed by a clock that is ahead of `now`.
    pub fn is_stale(&self, now: u64) -> bool {
        self.fresh().is_none_or(|fresh| !fresh.contains(&now))
    }

    /// When the state is fresh, in Unix seconds, once the end of the log was reached.
    pub fn fresh(&self) -> Option<RangeInclusive<u64>> {
        Some(self.this_update.saturating_sub(CLOCK_DIFFERENCE)..=self.next_update?)
    }

    /// Whether the newest message was signed by a clock that is ahead of `now`. When it came, the follower's clock was ahead, too.
    fn is_ahead(&self, now: u64) -> bool {
        self.this_update > now.saturating_add(CLOCK_DIFFERENCE)
    }

    /// When the newest message was signed, in Unix seconds; 0 before the first.
    pub fn this_update(&self) -> u64 {
        self.this_update
    }

    /// When a newer message is overdue, in Unix seconds, once the end of the log was reached.
    pub fn next_update(&self) -> Option<u64> {
        self.next_update
    }

    /// The serial number of the newest keyring that a message named.
    pub fn keyring_serial(&self) -> u64 {
        self.keyring_serial
    }

    /// That keyring's versions and their states.
    pub fn versions(&self) -> &[(KeyVersion, VersionState)] {
        &self.versions
    }

    /// Every version that a message named as compromised or destroyed: for [`Verifier::refusing`](crate::verifier::Verifier::refusing).
    pub fn refused(&self) -> &[KeyVersion] {
        &self.refused
    }

    fn check(&self, head: &Head, now: u64) -> Result<(), FeedError> {
        self.check_all_but_place(head, now)?;
        match (head.after, self.log.seq()) {
            (after, seq) if after != seq => Err(FeedError::NotNext { after, seq }),
            _ => Ok(()),
        }
    }

    fn check_all_but_place(&self, head: &Head, now: u64) -> Result<(), FeedError> {
        let &Head { log_id, realm, this_update, .. } = head;
        if realm != self.realm {
            return Err(FeedError::OtherRealm { found: realm, expected: self.realm });
        }
        if let Some(expected) = self.log_id.filter(|expected| *expected != log_id) {
            return Err(FeedError::OtherLog { found: log_id, expected });
        }
        if this_update.saturating_add(CLOCK_DIFFERENCE) < self.this_update && !self.is_ahead(now) {
            return Err(FeedError::Older { this_update, seen: self.this_update });
        }
        if this_update > now.saturating_add(CLOCK_DIFFERENCE) {
            return Err(FeedError::Future { this_update, now });
        }
        Ok(())
    }

    /// Whether there are more versions to refuse than before. The versions of an older keyring than the newest are not noted.
    fn note_versions(&mut self, head: &Head) -> bool {
        let before = self.refused.len();
        let closed = head.versions.iter().filter(|(_, state)| !state.opens()).map(|(version, _)| *version);
        self.refused.extend(closed);
        self.refused.sort_unstable();
        self.refused.dedup();
        if head.keyring_serial >= self.keyring_serial {
            (self.keyring_serial, self.versions) = (head.keyring_serial, head.versions.clone());
        }
        self.refused.len() > before
    }
}
