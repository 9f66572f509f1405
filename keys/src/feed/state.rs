//! What a follower knows: a pure function of the messages it received and the times at which it received them.

use std::ops::RangeInclusive;

use super::{FeedError, Head, LoadedSnapshot, LogId, Message};
use crate::{
    clock_difference::CLOCK_DIFFERENCE,
    key_version::KeyVersion,
    keyring::VersionState,
    realm::Realm,
    revocation::{LiveSet, RevocationLog, Revocations},
};

/// The state of a follower. It only ever knows more: only an event that resumes a key ends its suspension, and a
/// version that was compromised or destroyed stays refused.
#[derive(Clone, Debug)]
pub struct FeedState {
    pub(super) realm: Option<Realm>,
    pub(super) log_id: Option<LogId>,
    pub(super) log: RevocationLog,
    /// The place from which it started again, where everything that it knew was of that one log.
    restarted_from: Option<(LogId, u64)>,
    /// The log that it started again for, before its first message.
    next_log: Option<LogId>,
    pub(super) this_update: u64,
    /// Until when it is fresh, by the follower's own clock.
    pub(super) fresh_until: Option<u64>,
    /// When the message was signed that it is fresh by.
    pub(super) fresh_by: u64,
    pub(super) keyring_serial: u64,
    pub(super) versions: Vec<(KeyVersion, VersionState)>,
    pub(super) refused: Vec<KeyVersion>,
}

/// What a follower has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPlace {
    /// The log, after its first message.
    pub log_id: Option<LogId>,
    /// The place in it.
    pub seq: u64,
    /// The serial number of the newest keyring that a message named.
    pub keyring_serial: u64,
}

/// What a message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Whether the end of the log is reached; else there is more to fetch at once.
    pub complete: bool,
    /// Whether the revocations, or the refused versions, may have changed.
    pub changed: bool,
    /// Whether the follower does not know what the server does: it has to [start again](FeedState::restart), and counts
    /// it.
    pub diverged: bool,
    /// For how many seconds from now on the message makes the state fresh, where it does.
    pub fresh_for: Option<u64>,
}

impl FeedState {
    /// A follower of one realm or (`None`) of every realm, before its first message.
    pub fn new(realm: Option<Realm>) -> Self {
        FeedState {
            realm,
            log_id: None,
            log: RevocationLog::default(),
            restarted_from: None,
            next_log: None,
            this_update: 0,
            fresh_until: None,
            fresh_by: 0,
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
        let fresh_for = self.note_time(head, complete, now);
        let refuses_more = self.note_versions(head.keyring_serial, &head.versions);
        let live = head.live.filter(|_| complete);
        let same = live.map(|live| live == self.live(live.from, &head.versions));
        if let Some(live) = live.filter(|_| same == Some(true)) {
            self.forget_what_came_before(head, live.from);
        }
        Ok(Applied { complete, changed: changed || refuses_more, diverged: same == Some(false), fresh_for })
    }

    /// What the log comes to at this place, from a day's first second on: what a server at the same place puts into its
    /// [`Head`].
    pub fn live(&self, from: u64, versions: &[(KeyVersion, VersionState)]) -> LiveSet {
        self.log.live(self.realm, from, &destroyed(versions))
    }

    /// The message counts from now on, by the follower's own clock, and for less if that shows that it arrived late.
    fn note_time(&mut self, head: &Head, complete: bool, now: u64) -> Option<u64> {
        let mut fresh_for = None;
        let was_ahead = self.is_ahead(now);
        let fresh_by_is_ahead = self.fresh_by > now.saturating_add(CLOCK_DIFFERENCE);
        if complete && (self.fresh_until.is_none() || head.this_update > self.fresh_by || fresh_by_is_ahead) {
            let late = now.saturating_sub(head.this_update).saturating_sub(CLOCK_DIFFERENCE);
            let left = (head.next_update - head.this_update).checked_sub(late);
            self.fresh_until = Some(left.map_or(now.saturating_sub(1), |left| now.saturating_add(left)));
            self.fresh_by = head.this_update;
            fresh_for = Some(left.unwrap_or(0));
        } else if !complete && was_ahead {
            // Before the end of the log the present state is not known.
            self.fresh_until = None;
        }
        if was_ahead || head.this_update >= self.this_update {
            self.this_update = head.this_update;
        }
        fresh_for
    }

    /// The same log was read again, to where it was read before or beyond: a suspension that it does not say any more
    /// is over.
    fn forget_what_came_before(&mut self, head: &Head, from: u64) {
        if self.restarted_from.take_if(|(log_id, seq)| *log_id == head.log_id && *seq <= head.seq).is_some() {
            self.log.forget_suspensions(from, &destroyed(&head.versions));
        }
    }

    /// Applies a message that may have been signed long ago, on the way to the place that `newest` goes on from. It
    /// begins at this state's place or before, and what is known already is skipped. Nothing becomes fresh by it: apply
    /// `newest` once its place is reached. A refused message changes nothing.
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
        let refuses_more = self.note_versions(part.keyring_serial, &part.versions)
            | self.note_versions(newest.keyring_serial, &newest.versions);
        Ok(Applied { complete: false, changed: changed || refuses_more, diverged: false, fresh_for: None })
    }

    /// Goes to the place of a snapshot that is not before its own; `now` is in Unix seconds. A refused snapshot changes
    /// nothing. Nothing is fresh by a snapshot: the next message says whether there is more.
    pub fn load(&mut self, loaded: LoadedSnapshot, now: u64) -> Result<(), FeedError> {
        let LoadedSnapshot { snapshot, bulk } = loaded;
        let head = snapshot.head();
        self.check_source(head.realm, head.log_id)?;
        if snapshot.seq() < self.log.seq() {
            return Err(FeedError::NotNext { after: snapshot.seq(), seq: self.log.seq() });
        }
        if head.this_update > now.saturating_add(CLOCK_DIFFERENCE) {
            return Err(FeedError::Future { this_update: head.this_update, now });
        }
        self.log.load(bulk, snapshot.seq(), now);
        self.log_id = Some(head.log_id);
        self.note_versions(head.keyring_serial, &head.versions);
        Ok(())
    }

    /// Revokes what is due at `now`, in Unix seconds. Returns whether the revocations changed.
    pub fn due(&mut self, now: u64) -> bool {
        self.log.due(now)
    }

    /// Sweeps one part of the list, as [`Revocations::sweep_part`] does.
    pub fn sweep_part(&mut self, part: usize, now: u64) {
        self.log.sweep_part(part, now);
    }

    /// Forgets the place in the log, and nothing else, after [`FeedError::OtherLog`] or where it
    /// [diverged](Applied::diverged): the next message must come from the beginning. What was known stays in force.
    /// Once the same log is read to where it was read before and the server confirms what it came to, a suspension that
    /// it does not say is over, unless the log does not say a revocation either: then it has lost its end, and
    /// everything stays.
    pub fn restart(&mut self) {
        if let Some(log_id) = self.log_id.take() {
            let place = (log_id, self.log.seq());
            // A follower that started again on the way knows things of two logs, or of an earlier beginning.
            self.restarted_from = match self.restarted_from.take() {
                None if !self.log.keeps_more() => Some(place),
                Some((before, seq)) if before == log_id => Some((log_id, seq.max(place.1))),
                _ => None,
            };
        }
        self.next_log = None;
        self.log.restart();
    }

    /// The same, to go over to this log: no message of another one is accepted until the next restart. For a follower
    /// whose sources know different logs.
    pub fn restart_in(&mut self, log_id: LogId) {
        self.restart();
        self.next_log = Some(log_id);
    }

    /// The place in the log: fetch what came after it next.
    pub fn seq(&self) -> u64 {
        self.log.seq()
    }

    /// The log's id, after its first message.
    pub fn log_id(&self) -> Option<LogId> {
        self.log_id
    }

    /// The place in the log, and the newest keyring that it heard of.
    pub fn place(&self) -> FeedPlace {
        FeedPlace { log_id: self.log_id, seq: self.log.seq(), keyring_serial: self.keyring_serial }
    }

    /// The revocations. Cheap to clone.
    pub fn revocations(&self) -> &Revocations {
        self.log.revocations()
    }

    /// The state of the log, with the revocations that wait for their time.
    pub fn log(&self) -> &RevocationLog {
        &self.log
    }

    /// Returns whether the state is stale at `now`, in Unix seconds: a message is overdue, the end of the log was never
    /// reached, or the newest message was signed by a clock that is ahead of `now`.
    pub fn is_stale(&self, now: u64) -> bool {
        self.fresh().is_none_or(|fresh| !fresh.contains(&now))
    }

    /// When the state is fresh, in Unix seconds of the follower's clock, once the end of the log was reached. A caller
    /// with a clock that nobody sets counts the seconds from the last message to the end of it.
    pub fn fresh(&self) -> Option<RangeInclusive<u64>> {
        Some(self.this_update.saturating_sub(CLOCK_DIFFERENCE)..=self.fresh_until?)
    }

    /// Returns whether the newest message was signed by a clock that is ahead of `now`. When it came, the follower's
    /// clock was ahead, too.
    fn is_ahead(&self, now: u64) -> bool {
        self.this_update > now.saturating_add(CLOCK_DIFFERENCE)
    }

    /// When the newest message was signed, in Unix seconds; 0 before the first.
    pub fn this_update(&self) -> u64 {
        self.this_update
    }

    /// When a newer message is overdue, in Unix seconds of the follower's clock, once the end of the log was reached.
    pub fn fresh_until(&self) -> Option<u64> {
        self.fresh_until
    }

    /// The serial number of the newest keyring that a message named.
    pub fn keyring_serial(&self) -> u64 {
        self.keyring_serial
    }

    /// That keyring's versions and their states.
    pub fn versions(&self) -> &[(KeyVersion, VersionState)] {
        &self.versions
    }

    /// Every version that a message named as compromised or destroyed: for
    /// [`Verifier::refusing`](crate::verifier::Verifier::refusing).
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
        let source = self.check_source(realm, log_id);
        if let Err(FeedError::OtherLog { .. }) = source {
            // A repeated message of a log that ended earlier must not have a follower begin again.
            self.check_not_older(this_update, 0, now)?;
        }
        source?;
        self.check_not_older(this_update, CLOCK_DIFFERENCE, now)?;
        if this_update > now.saturating_add(CLOCK_DIFFERENCE) {
            return Err(FeedError::Future { this_update, now });
        }
        Ok(())
    }

    fn check_not_older(&self, this_update: u64, tolerated: u64, now: u64) -> Result<(), FeedError> {
        let is_older = this_update.saturating_add(tolerated) < self.this_update && !self.is_ahead(now);
        if is_older { Err(FeedError::Older { this_update, seen: self.this_update }) } else { Ok(()) }
    }

    fn check_source(&self, realm: Option<Realm>, log_id: LogId) -> Result<(), FeedError> {
        if realm != self.realm {
            return Err(FeedError::OtherRealm { found: realm, expected: self.realm });
        }
        match self.log_id.or(self.next_log).filter(|expected| *expected != log_id) {
            Some(expected) => Err(FeedError::OtherLog { found: log_id, expected }),
            None => Ok(()),
        }
    }

    /// Returns whether there are more versions to refuse than before. The versions of an older keyring than the newest
    /// are not noted.
    fn note_versions(&mut self, serial: u64, versions: &[(KeyVersion, VersionState)]) -> bool {
        let before = self.refused.len();
        let closed = versions.iter().filter(|(_, state)| !state.opens()).map(|(version, _)| *version);
        self.refused.extend(closed);
        self.refused.sort_unstable();
        self.refused.dedup();
        if serial >= self.keyring_serial {
            (self.keyring_serial, self.versions) = (serial, versions.to_vec());
        }
        self.refused.len() > before
    }
}

/// The versions whose keys are not counted.
fn destroyed(versions: &[(KeyVersion, VersionState)]) -> Vec<u32> {
    let destroyed = versions.iter().filter(|(_, state)| *state == VersionState::Destroyed);
    destroyed.map(|(version, _)| version.number()).collect()
}
