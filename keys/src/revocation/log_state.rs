//! What is known of a log: what is revoked, what waits for its time, and what is resumed once the end is reached.

use std::collections::BTreeSet;

use super::{
    Change, ChangeKind, RevocationEvent, Revocations,
    entry::{NEVER, key},
    live_set::{Counted, Counter, Tally},
    waiting::Waiting,
};
use crate::api_key::ApiKeyId;

#[derive(Clone, Debug, Default)]
pub(super) struct LogState {
    pub(super) revocations: Revocations,
    /// Resumed before the end was reached.
    pub(super) resumed: BTreeSet<ApiKeyId>,
    /// No id in it is revoked already.
    pub(super) waiting: Waiting,
}

/// An id that waits: when it takes effect, and its key's expiry.
pub(super) type Wait = (u32, ApiKeyId, Option<u32>);

impl LogState {
    /// After these events, all of them at once; `now` is in Unix seconds. Returns whether `revocations` may have
    /// changed.
    pub(super) fn advance(
        &mut self,
        events: &[RevocationEvent],
        at_end: bool,
        now: u64,
        mut tally: Option<&mut Tally>,
    ) -> bool {
        let mut changes = Vec::with_capacity(events.len());
        if at_end {
            changes.extend(std::mem::take(&mut self.resumed).into_iter().map(|id| Change::Resume { id }));
        }
        let mut later = Vec::new();
        for event in events {
            match (event.change, event.effective_at) {
                (Change::Revoke { id, expires_at }, Some(at)) => {
                    later.push((at, id, expires_at.filter(|expires_at| *expires_at != 0)));
                    continue;
                }
                (Change::Revoke { id, expires_at }, None) => {
                    let waited = self.waiting.take(&id);
                    count(&mut tally, &id, waited, None);
                    let expires_at = waited.map_or(expires_at, |waited| later_of(waited, expires_at));
                    changes.push(Change::Revoke { id, expires_at });
                    continue;
                }
                (Change::Resume { id }, _) if !at_end => {
                    self.resumed.insert(id);
                    continue;
                }
                (Change::Suspend { id, .. }, _) => {
                    self.resumed.remove(&id);
                }
                (Change::ForgetVersion { version }, _) => self.waiting.forget_version(version),
                _ => {}
            }
            changes.push(event.change);
        }
        let changed = self.change(changes, tally.as_deref_mut());
        let mut changes = Vec::new();
        for (at, id, expires_at) in later {
            if self.revocations.time(ChangeKind::Revoke, &id).is_some() {
                changes.push(Change::Revoke { id, expires_at });
            } else {
                let (before, after) = self.waiting.note(at, id, expires_at);
                count(&mut tally, &id, before, Some(after));
            }
        }
        let more = self.change(changes, tally.as_deref_mut());
        self.due(now, tally) || more || changed
    }

    /// Revokes what is due at `now`, in Unix seconds. Returns whether `revocations` changed.
    pub(super) fn due(&mut self, now: u64, mut tally: Option<&mut Tally>) -> bool {
        let mut changes = Vec::new();
        while let Some((id, expires_at)) = self.waiting.take_due(now) {
            count(&mut tally, &id, Some(expires_at), None);
            changes.push(Change::Revoke { id, expires_at });
        }
        self.change(changes, tally)
    }

    /// What there is in this and not in the other, as it stands here.
    pub(super) fn beyond(&self, other: &LogState) -> (Vec<Change>, Vec<Wait>) {
        let waits = |(id, at): (ApiKeyId, u32)| {
            let sooner = other.waiting.get(&id).is_none_or(|(noted, _)| noted > at);
            let (_, expires_at) = self.waiting.get(&id)?;
            (sooner && other.revocations.time(ChangeKind::Revoke, &id).is_none()).then_some((at, id, expires_at))
        };
        (self.revocations.beyond(&other.revocations), self.waiting.iter().filter_map(waits).collect())
    }

    /// Adds what another state has.
    pub(super) fn add(&mut self, changes: &[Change], waiting: Vec<Wait>, now: u64) {
        self.revocations = self.revocations.with(changes);
        for (at, id, expires_at) in waiting {
            self.waiting.note(at, id, expires_at);
        }
        self.due(now, None);
    }

    fn change(&mut self, changes: Vec<Change>, tally: Option<&mut Tally>) -> bool {
        let some = !changes.is_empty();
        if some {
            let mut counter = tally.map_or_else(Counter::none, Counter::of);
            self.revocations = self.revocations.after(changes.into_iter(), &mut counter);
        }
        some
    }
}

/// An id that waits had one expiry, and has another.
fn count(tally: &mut Option<&mut Tally>, id: &ApiKeyId, before: Option<Option<u32>>, after: Option<Option<u32>>) {
    if let Some(tally) = tally {
        let time = |expiry: Option<u32>| expiry.unwrap_or(NEVER);
        let entry = Counted { kind: ChangeKind::Revoke, realm: Some(id.realm()), key: &key(id) };
        tally.change(entry, before.map(time), after.map(time));
    }
}

/// The later of two expiries, none being the latest.
fn later_of(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.zip(other.filter(|other| *other != 0)).map(|(one, other)| one.max(other))
}
