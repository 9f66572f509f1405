//! The state at one place of a revocation log: what is revoked, and what will be.
//!
//! The service that owns the log and everybody who follows it keep the same state, and read it forward by the same
//! steps.

#[cfg(feature = "follow")]
use super::ChangeKind;
use super::{
    Change, RevocationEvent, Revocations,
    live_set::{LiveSet, Tally},
    log_state::LogState,
};
use crate::{api_key::ApiKeyId, realm::Realm};

/// What a log of revocations comes to, up to one place in it.
///
/// A revocation with a grace period is handed on at once and waits here until its time, so that it takes effect even
/// where nothing more of the log arrives. Of two times for one key the earlier counts. On the way to the log's end a
/// key may be resumed that is suspended again behind; so it is resumed once the end is reached, and not let through in
/// between.
///
/// ```
/// # use bulla::{ApiKeyId, revocation::{Change, RevocationEvent, RevocationLog}};
/// # let (app_id, issued_at, now) = (uuid::Uuid::nil(), 1_795_000_000, 1_800_000_000);
/// let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse()?;
/// let change = Change::Revoke { id, expires_at: None };
/// let mut log = RevocationLog::default();
/// log.advance(&[RevocationEvent { seq: 7, change, effective_at: Some(1_800_003_600) }], 7, 7, now)?;
/// assert!(!log.revocations().contains(&id, app_id, issued_at));
///
/// // The owner of the log comes back when a revocation is due.
/// assert_eq!(log.next_due(), Some(1_800_003_600));
/// assert!(log.due(now + 3_600));
/// assert!(log.revocations().contains(&id, app_id, issued_at));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RevocationLog {
    pub(super) seq: u64,
    /// The highest end that any message named.
    pub(super) end: u64,
    /// What this log says since its beginning.
    pub(super) known: LogState,
    /// The sums over that.
    pub(super) tally: Tally,
    /// After a restart, what is in force: what this log says, and what was known before.
    pub(super) kept: Option<LogState>,
}

/// Events that do not follow the log's place. None of them was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a revocation log stands at {after} and cannot go on with {seq}: read it from {after} on, in order")]
pub struct RevocationLogError {
    /// The number that comes too late.
    pub seq: u64,
    /// The number before it.
    pub after: u64,
}

impl RevocationLog {
    /// The place in the log: everything up to here has been read, and nothing behind it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns whether this is the end of the log, as far as it is known.
    pub fn at_end(&self) -> bool {
        self.seq == self.end
    }

    /// The revocations in force. Cheap to clone.
    pub fn revocations(&self) -> &Revocations {
        &self.in_force().revocations
    }

    /// What the log comes to at this place, in one realm or in all: what counts from a day's first second `from` on, in
    /// Unix seconds. Ids of the key versions `without` do not count: no key of theirs opens any more.
    pub fn live(&self, realm: Option<Realm>, from: u64, without: &[u32]) -> LiveSet {
        self.tally.live(realm, from, without)
    }

    /// Reads on: `events` are all there are behind the place in the log, up to and with `through`; the log goes to
    /// `end` at least. They take effect together; `now` is in Unix seconds. Returns whether `revocations` may have
    /// changed.
    pub fn advance(
        &mut self,
        events: &[RevocationEvent],
        through: u64,
        end: u64,
        now: u64,
    ) -> Result<bool, RevocationLogError> {
        let mut after = self.seq;
        for event in events {
            if event.seq <= after {
                return Err(RevocationLogError { seq: event.seq, after });
            }
            after = event.seq;
        }
        if through < after {
            return Err(RevocationLogError { seq: through, after });
        }
        self.seq = through;
        self.end = self.end.max(end).max(through);
        let at_end = self.at_end();
        let mut changed = self.known.advance(events, at_end, now, Some(&mut self.tally));
        if let Some(kept) = &mut self.kept {
            changed |= kept.advance(events, at_end, now, None);
            if at_end {
                self.keep_only_more(now);
            }
        }
        Ok(changed)
    }

    /// Revokes what is due at `now`, in Unix seconds. Returns whether `revocations` changed.
    pub fn due(&mut self, now: u64) -> bool {
        let changed = self.known.due(now, Some(&mut self.tally));
        self.kept.as_mut().map_or(changed, |kept| kept.due(now, None) || changed)
    }

    /// When the next scheduled revocation takes effect, in Unix seconds.
    pub fn next_due(&self) -> Option<u32> {
        self.in_force().waiting.next_due()
    }

    /// The revocations that wait for their time, in its order: the key's id, and the time in Unix seconds.
    pub fn scheduled(&self) -> impl Iterator<Item = (ApiKeyId, u32)> + '_ {
        self.in_force().waiting.iter()
    }

    /// Drops every id of a key version of which no key opens any more, those that wait included. Only for an owner
    /// whose verifiers refuse that version.
    pub fn forget_version(&mut self, version: u32) {
        self.tally.forget_version(version);
        for known in [Some(&mut self.known), self.kept.as_mut()].into_iter().flatten() {
            known.waiting.forget_version(version);
            known.revocations = known.revocations.with(&[Change::ForgetVersion { version }]);
        }
    }

    /// Sweeps one part of the list, as [`Revocations::sweep_part`] does.
    pub fn sweep_part(&mut self, part: usize, now: u64) {
        self.tally.forget_before(now);
        for known in [Some(&mut self.known), self.kept.as_mut()].into_iter().flatten() {
            known.revocations = known.revocations.sweep_part(part, now);
        }
    }

    /// Goes back to the beginning of the log, or of another one in its place, and keeps everything that is revoked, now
    /// or at its time: only an event that resumes a key ever gives it back.
    pub fn restart(&mut self) {
        (self.seq, self.end, self.tally) = (0, 0, Tally::default());
        let known = std::mem::take(&mut self.known);
        let kept = self.kept.get_or_insert(known);
        kept.resumed.clear();
    }

    /// Shows all that this log says, and all of it that waits, as changes that make the same from nothing, with their
    /// times.
    #[cfg(feature = "follow")]
    pub(crate) fn for_each(&self, show: &mut dyn FnMut(Change, Option<u32>)) {
        let LogState { revocations, waiting, .. } = &self.known;
        revocations.for_each(&mut |kind, realm, entry| {
            if let Some(change) = super::entries::change(kind, realm, entry) {
                show(change, None);
            }
        });
        for (id, at) in waiting.iter() {
            let expires_at = waiting.get(&id).and_then(|(_, expires_at)| expires_at);
            show(Change::Revoke { id, expires_at }, Some(at));
        }
    }

    /// What is in force besides: known from before a restart, and not said by this log. As changes with their times.
    #[cfg(feature = "follow")]
    pub(crate) fn more(&self) -> Vec<(Change, Option<u32>)> {
        let (changes, waiting) = self.kept.as_ref().map(|kept| kept.beyond(&self.known)).unwrap_or_default();
        let later = waiting.into_iter().map(|(at, id, expires_at)| (Change::Revoke { id, expires_at }, Some(at)));
        changes.into_iter().map(|change| (change, None)).chain(later).collect()
    }

    /// Keeps in force what [`RevocationLog::more`] had.
    #[cfg(feature = "follow")]
    pub(crate) fn keep(&mut self, more: Vec<(Change, Option<u32>)>, now: u64) {
        let (mut changes, mut waiting) = (Vec::new(), Vec::new());
        for (change, effective_at) in more {
            match (change, effective_at) {
                (Change::Revoke { id, expires_at }, Some(at)) => waiting.push((at, id, expires_at)),
                (change, _) => changes.push(change),
            }
        }
        if !changes.is_empty() || !waiting.is_empty() {
            let mut kept = self.known.clone();
            kept.add(&changes, waiting, now);
            self.kept = Some(kept);
        }
    }

    /// The log at its end, `seq`, with what [`RevocationLog::for_each`] showed there.
    #[cfg(feature = "follow")]
    pub(crate) fn restored(seq: u64, shown: impl Iterator<Item = (Change, Option<u32>)>, now: u64) -> Self {
        let mut bulk = super::Bulk::default();
        shown.for_each(|(change, effective_at)| bulk.change(change, effective_at));
        let (known, tally) = bulk.build();
        let mut log = RevocationLog { seq, end: seq, known, tally, kept: None };
        log.due(now);
        log
    }

    /// Returns whether there is more in force than what this log says.
    #[cfg(feature = "follow")]
    pub(crate) fn keeps_more(&self) -> bool {
        self.kept.is_some()
    }

    /// Forgets the suspensions that this log, read again, does not say: they are over. A log that does not say a
    /// revocation either has lost it, and may have lost suspensions: then everything stays. Keys that expire before
    /// `from`, in Unix seconds, and those of the versions `without` do not count.
    #[cfg(feature = "follow")]
    pub(crate) fn forget_suspensions(&mut self, from: u64, without: &[u32]) {
        let is_lost = |(change, effective_at): &(Change, Option<u32>)| match change {
            Change::Revoke { id, expires_at } => {
                let counts = expires_at.is_none_or(|at| u64::from(at) >= from) && !without.contains(&id.version());
                let said = effective_at.is_none() && self.known.revocations.time(ChangeKind::Revoke, id).is_some();
                counts && !said
            }
            Change::RevokeApp { .. } | Change::RevokeRealm { .. } => true,
            Change::Suspend { .. } | Change::Resume { .. } | Change::ForgetVersion { .. } => false,
        };
        if !self.more().iter().any(is_lost) {
            self.kept = None;
        }
    }

    /// At the end of the log: what is in force shares everything with what the log says, except what was known before
    /// alone.
    pub(super) fn keep_only_more(&mut self, now: u64) {
        let Some((changes, waiting)) = self.kept.take().map(|kept| kept.beyond(&self.known)) else { return };
        if !changes.is_empty() || !waiting.is_empty() {
            let mut kept = self.known.clone();
            kept.add(&changes, waiting, now);
            self.kept = Some(kept);
        }
    }

    fn in_force(&self) -> &LogState {
        self.kept.as_ref().unwrap_or(&self.known)
    }
}
