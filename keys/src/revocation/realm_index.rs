//! The revocations of one realm.

use std::ops::{Range, RangeInclusive};

use hashbrown::DefaultHashBuilder;
use uuid::Uuid;

use super::{
    change::Pending,
    entry::{Entry, Key},
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

    /// Whether the id is revoked or suspended.
    pub(super) fn holds(&self, id: &Key, hash: u64) -> bool {
        self.revoked.get(id, hash).is_some() || self.suspended.get(id, hash).is_some()
    }

    /// The first second whose keys the rules let through, for the app of this hash; 0 where there is no rule.
    pub(super) fn issued_before(&self, app_id: Uuid, hash: u64) -> u32 {
        self.issued_before.max(self.apps.get(app_id.as_bytes(), hash).unwrap_or(0))
    }

    pub(super) fn with(&self, mut pending: Pending, hasher: &DefaultHashBuilder) -> Self {
        RealmIndex {
            realm: self.realm,
            issued_before: self.issued_before.max(pending.issued_before),
            revoked: self.revoked.with(&mut pending.revoked, hasher),
            suspended: self.suspended.with(&mut pending.suspended, hasher),
            apps: self.apps.with(&mut pending.apps, hasher),
        }
    }

    /// Shows every entry with its kind, in no order; a rule about the realm has no key.
    #[cfg(feature = "follow")]
    pub(super) fn for_each(&self, show: &mut dyn FnMut(super::ChangeKind, &Entry)) {
        use super::ChangeKind;
        if self.issued_before > 0 {
            show(ChangeKind::RevokeRealm, &Entry { key: [0; 16], time: self.issued_before });
        }
        self.revoked.for_each(&mut |entry| show(ChangeKind::Revoke, entry));
        self.suspended.for_each(&mut |entry| show(ChangeKind::Suspend, entry));
        self.apps.for_each(&mut |entry| show(ChangeKind::RevokeApp, entry));
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
