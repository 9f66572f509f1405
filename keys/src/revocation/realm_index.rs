//! The revocations of one realm.

use std::ops::{Range, RangeInclusive};

use hashbrown::DefaultHashBuilder;
use uuid::Uuid;

use super::{
    ChangeKind,
    change::Pending,
    entry::{Entry, Key, Operation},
    live_set::{Counted, Counter},
    table::Table,
};
use crate::realm::Realm;

#[derive(Clone)]
pub(super) struct RealmIndex {
    pub(super) realm: Realm,
    /// Every key issued before this is revoked; 0 is none.
    issued_before: u32,
    revoked: Table,
    /// Apart from the revoked, so that to resume an id is to take it out, whatever else was said of it.
    suspended: Table,
    apps: Table,
}

impl RealmIndex {
    pub(super) fn new(realm: Realm) -> Self {
        let [revoked, suspended, apps] = Default::default();
        RealmIndex { realm, issued_before: 0, revoked, suspended, apps }
    }

    /// Returns whether the id is revoked or suspended.
    pub(super) fn holds(&self, id: &Key, hash: u64) -> bool {
        self.revoked.get(id, hash).is_some() || self.suspended.get(id, hash).is_some()
    }

    /// The first second whose keys the rules let through, for the app of this hash; 0 where there is no rule.
    pub(super) fn issued_before(&self, app_id: Uuid, hash: u64) -> u32 {
        self.issued_before.max(self.apps.get(app_id.as_bytes(), hash).unwrap_or(0))
    }

    pub(super) fn with(&self, mut pending: Pending, hasher: &DefaultHashBuilder, counter: &mut Counter<'_>) -> Self {
        let (realm, issued_before) = (Some(self.realm), self.issued_before.max(pending.issued_before));
        let rule = Counted { kind: ChangeKind::RevokeRealm, realm, key: &[0; 16] };
        counter.change(rule, Some(self.issued_before), Some(issued_before));
        let mut put = |kind, table: &Table, operations: &mut [Operation]| {
            table.with(operations, hasher, &mut |key, before, after| {
                counter.change(Counted { kind, realm, key }, before, after);
            })
        };
        RealmIndex {
            realm: self.realm,
            issued_before,
            revoked: put(ChangeKind::Revoke, &self.revoked, &mut pending.revoked),
            suspended: put(ChangeKind::Suspend, &self.suspended, &mut pending.suspended),
            apps: put(ChangeKind::RevokeApp, &self.apps, &mut pending.apps),
        }
    }

    /// Puts in what there is of one kind.
    #[cfg(feature = "follow")]
    pub(super) fn set(&mut self, kind: ChangeKind, latest: u32, table: impl FnOnce() -> Table) {
        match kind {
            ChangeKind::Revoke => self.revoked = table(),
            ChangeKind::Suspend => self.suspended = table(),
            ChangeKind::RevokeApp => self.apps = table(),
            ChangeKind::RevokeRealm => self.issued_before = latest,
            ChangeKind::Resume => {}
        }
    }

    /// Shows every entry with its kind, in no order; a rule about the realm has no key.
    pub(super) fn for_each(&self, show: &mut dyn FnMut(ChangeKind, &Entry)) {
        if self.issued_before > 0 {
            show(ChangeKind::RevokeRealm, &Entry { key: [0; 16], time: self.issued_before });
        }
        self.revoked.for_each(&mut |entry| show(ChangeKind::Revoke, entry));
        self.suspended.for_each(&mut |entry| show(ChangeKind::Suspend, entry));
        self.apps.for_each(&mut |entry| show(ChangeKind::RevokeApp, entry));
    }

    /// The time of an entry of this kind.
    pub(super) fn time(&self, kind: ChangeKind, key: &Key, hash: u64) -> Option<u32> {
        match kind {
            ChangeKind::Revoke => self.revoked.get(key, hash),
            ChangeKind::Suspend => self.suspended.get(key, hash),
            ChangeKind::RevokeApp => self.apps.get(key, hash),
            ChangeKind::RevokeRealm => Some(self.issued_before).filter(|before| *before > 0),
            ChangeKind::Resume => None,
        }
    }

    /// Only the ids that are to be kept, as far as they lie in these parts; rules stay.
    pub(super) fn retain(
        &self,
        parts: Range<usize>,
        keep: impl Fn(&Entry) -> bool,
        hasher: &DefaultHashBuilder,
    ) -> Self {
        RealmIndex {
            revoked: self.revoked.retain(parts.clone(), &keep, hasher),
            suspended: self.suspended.retain(parts, &keep, hasher),
            ..self.clone()
        }
    }

    /// Adds the hashes of ids and apps in `range` to `hashes`.
    pub(super) fn hashes(&self, range: &RangeInclusive<u64>, hasher: &DefaultHashBuilder, hashes: &mut Vec<u64>) {
        [&self.revoked, &self.suspended, &self.apps].iter().for_each(|table| table.hashes(range, hasher, hashes));
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.issued_before > 0) + self.revoked.len() + self.suspended.len() + self.apps.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.revoked.memory() + self.suspended.memory() + self.apps.memory()
    }
}
