//! Revocations that wait for their time: of each key the earliest that was named, and the latest expiry.

use std::collections::{BTreeMap, BTreeSet};

use crate::api_key::ApiKeyId;

/// An id once at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// When each takes effect; and the expiry of the key, `None` for one that stays.
    ids: BTreeMap<ApiKeyId, (u32, Option<u32>)>,
    /// The same, in the order of time.
    order: BTreeSet<(u32, ApiKeyId)>,
}

impl Waiting {
    /// Notes an id, and returns the expiry of its key before and now: `None` where the id did not wait, `Some(None)`
    /// where it stays.
    pub(super) fn note(
        &mut self,
        at: u32,
        id: ApiKeyId,
        expires_at: Option<u32>,
    ) -> (Option<Option<u32>>, Option<u32>) {
        let before = self.ids.get(&id).copied();
        let (at, expires_at) = before.map_or((at, expires_at), |(noted, expiry)| {
            (noted.min(at), expiry.zip(expires_at).map(|(one, other)| one.max(other)))
        });
        if let Some((noted, _)) = before {
            self.order.remove(&(noted, id));
        }
        self.order.insert((at, id));
        self.ids.insert(id, (at, expires_at));
        (before.map(|(_, expiry)| expiry), expires_at)
    }

    /// Takes an id out: its key's expiry.
    pub(super) fn take(&mut self, id: &ApiKeyId) -> Option<Option<u32>> {
        let (at, expires_at) = self.ids.remove(id)?;
        self.order.remove(&(at, *id));
        Some(expires_at)
    }

    /// Takes out the first that is due at `now`, in Unix seconds.
    pub(super) fn take_due(&mut self, now: u64) -> Option<(ApiKeyId, Option<u32>)> {
        let (_, id) = *self.order.first().filter(|(at, _)| u64::from(*at) <= now)?;
        self.take(&id).map(|expires_at| (id, expires_at))
    }

    /// When the first is due, in Unix seconds.
    pub(super) fn next_due(&self) -> Option<u32> {
        self.order.first().map(|(at, _)| *at)
    }

    /// When an id takes effect, in Unix seconds, and its key's expiry.
    pub(super) fn get(&self, id: &ApiKeyId) -> Option<(u32, Option<u32>)> {
        self.ids.get(id).copied()
    }

    /// Every id and when it takes effect, in the order of time.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ApiKeyId, u32)> + '_ {
        self.order.iter().map(|(at, id)| (*id, *at))
    }

    pub(super) fn forget_version(&mut self, version: u32) {
        self.ids.retain(|id, _| id.version() != version);
        self.order.retain(|(_, id)| id.version() != version);
    }
}
