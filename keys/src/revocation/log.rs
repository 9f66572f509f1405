//! The state at one place of a revocation log: what is revoked, and what will be.
//!
//! The service that owns the log and everybody who follows it keep the same state, and read it forward by the same steps.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, RevocationEvent, Revocations};
use crate::api_key::ApiKeyId;

/// What a log of revocations comes to, up to one place in it.
///
/// A revocation with a grace period is handed on at once and waits here until its time, so that it takes effect even where
/// nothing more of the log arrives. Of two times for one key the earlier counts. On the way to the log's end a key may be
/// resumed that is suspended again behind; so it is resumed once the end is reached, and not let through in between.
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
    seq: u64,
    /// The highest end that any message named.
    end: u64,
    revocations: Revocations,
    /// Resumed on the way to the end.
    resumed: BTreeSet<ApiKeyId>,
    /// By the time at which they take effect; with the expiry of the key, `None` for one that stays.
    scheduled: BTreeMap<(u32, ApiKeyId), Option<u32>>,
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

    /// Whether this is the end of the log, as far as it is known.
    pub fn at_end(&self) -> bool {
        self.seq == self.end
    }

    /// The revocations. Cheap to clone.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Reads on: `events` are all there are behind the place in the log, up to and with `through`; the log goes to `end` at
    /// least. They take effect together; `now` is in Unix seconds. Whether `revocations` may have changed.
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
        let mut changes = Vec::with_capacity(events.len());
        if at_end {
            changes.extend(std::mem::take(&mut self.resumed).into_iter().map(|id| Change::Resume { id }));
        }
        for event in events {
            match (event.change, event.effective_at) {
                (Change::Revoke { id, expires_at }, Some(at)) => {
                    self.schedule(at, id, expires_at);
                    continue;
                }
                (Change::Resume { id }, _) if !at_end => {
                    self.resumed.insert(id);
                    continue;
                }
                (Change::Suspend { id, .. }, _) => {
                    self.resumed.remove(&id);
                }
                (Change::ForgetVersion { version }, _) => self.unschedule(version),
                _ => {}
            }
            changes.push(event.change);
        }
        Ok(self.change(changes, now))
    }

    /// Revokes what is due at `now`, in Unix seconds. Whether `revocations` changed.
    pub fn due(&mut self, now: u64) -> bool {
        self.change(Vec::new(), now)
    }

    /// When the next scheduled revocation takes effect, in Unix seconds.
    pub fn next_due(&self) -> Option<u32> {
        self.scheduled.first_key_value().map(|((at, _), _)| *at)
    }

    /// The revocations that wait for their time, in its order: the key's id, and the time in Unix seconds.
    pub fn scheduled(&self) -> impl Iterator<Item = (ApiKeyId, u32)> + '_ {
        self.scheduled.keys().map(|(at, id)| (*id, *at))
    }

    /// Drops every id of a key version of which no key opens any more, those that wait included. Only for an owner whose
    /// verifiers refuse that version.
    pub fn forget_version(&mut self, version: u32) {
        self.unschedule(version);
        self.revocations = self.revocations.with(&[Change::ForgetVersion { version }]);
    }

    /// Sweeps one part of the list, as [`Revocations::sweep_part`] does.
    pub fn sweep_part(&mut self, part: usize, now: u64) {
        self.revocations = self.revocations.sweep_part(part, now);
    }

    /// Goes back to the beginning of the log, or of another one in its place, and keeps everything that is revoked, now or
    /// at its time: only an event that resumes a key ever gives it back.
    pub fn restart(&mut self) {
        (self.seq, self.end) = (0, 0);
        self.resumed.clear();
    }

    /// Shows all that is in force and all that waits, as changes that make the same from nothing, with their times.
    #[cfg(feature = "follow")]
    pub(crate) fn for_each(&self, show: &mut dyn FnMut(Change, Option<u32>)) {
        self.revocations.for_each(&mut |kind, realm, entry| {
            if let Some(change) = super::entries::change(kind, realm, entry) {
                show(change, None);
            }
        });
        self.scheduled.iter().for_each(|((at, id), expires_at)| {
            show(Change::Revoke { id: *id, expires_at: *expires_at }, Some(*at));
        });
    }

    /// The log at its end, `seq`, with what [`RevocationLog::for_each`] showed there.
    #[cfg(feature = "follow")]
    pub(crate) fn restored(seq: u64, shown: impl Iterator<Item = (Change, Option<u32>)>, now: u64) -> Self {
        let mut log = RevocationLog { seq, end: seq, ..RevocationLog::default() };
        let at_once = shown.filter_map(|(change, effective_at)| match (change, effective_at) {
            (Change::Revoke { id, expires_at }, Some(at)) => {
                log.schedule(at, id, expires_at);
                None
            }
            (change, _) => Some(change),
        });
        let revocations = Revocations::from_changes(at_once);
        log.revocations = revocations;
        log.due(now);
        log
    }

    fn schedule(&mut self, at: u32, id: ApiKeyId, expires_at: Option<u32>) {
        let expires_at = expires_at.filter(|expires_at| *expires_at != 0);
        let known = self.scheduled.entry((at, id)).or_insert(expires_at);
        *known = known.zip(expires_at).map(|(one, other)| one.max(other));
    }

    fn unschedule(&mut self, version: u32) {
        self.scheduled.retain(|(_, id), _| id.version() != version);
    }

    /// Makes these changes, and those that are due.
    fn change(&mut self, mut changes: Vec<Change>, now: u64) -> bool {
        while let Some(entry) = self.scheduled.first_entry().filter(|entry| u64::from(entry.key().0) <= now) {
            let ((_, id), expires_at) = entry.remove_entry();
            changes.push(Change::Revoke { id, expires_at });
        }
        if !changes.is_empty() {
            self.revocations = self.revocations.with(&changes);
        }
        !changes.is_empty()
    }
}
