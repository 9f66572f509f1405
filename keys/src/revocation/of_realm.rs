//! What is taken back in one realm.

use std::ops::Range;

use hashbrown::DefaultHashBuilder;
use uuid::Uuid;

use super::{change::Pending, entry::Entry, table::Table};
use crate::Realm;

#[derive(Clone)]
pub(super) struct OfRealm {
    pub(super) realm: Realm,
    /// Everything before this is taken back; 0 is nothing.
    issued_before: u32,
    pub(super) revoked: Table,
    /// Apart from the revoked, so that to resume an id is to take it out, whatever else was said of it.
    pub(super) suspended: Table,
    apps: Table,
}

impl OfRealm {
    pub(super) fn new(realm: Realm) -> Self {
        let [revoked, suspended, apps] = Default::default();
        OfRealm { realm, issued_before: 0, revoked, suspended, apps }
    }

    /// Whether a rule takes back what this app was issued at this time.
    #[inline]
    pub(super) fn rules_out(&self, app_id: Uuid, issued_at: u32, hasher: &DefaultHashBuilder) -> bool {
        issued_at < self.issued_before
            || self.apps.get(app_id.as_bytes(), hasher).is_some_and(|before| issued_at < before)
    }

    /// The first second at which `rules_out` says no.
    pub(super) fn ruled_out_before(&self, app_id: Uuid, hasher: &DefaultHashBuilder) -> u32 {
        self.issued_before.max(self.apps.get(app_id.as_bytes(), hasher).unwrap_or(0))
    }

    pub(super) fn with(&self, mut pending: Pending, hasher: &DefaultHashBuilder) -> Self {
        OfRealm {
            realm: self.realm,
            issued_before: self.issued_before.max(pending.issued_before),
            revoked: self.revoked.with(&mut pending.revoked, hasher),
            suspended: self.suspended.with(&mut pending.suspended, hasher),
            apps: self.apps.with(&mut pending.apps, hasher),
        }
    }

    /// Only the ids that are to be kept, as far as they lie in these parts; rules stay.
    pub(super) fn retain(
        &self,
        parts: Range<usize>,
        keep: impl Fn(&Entry) -> bool,
        hasher: &DefaultHashBuilder,
    ) -> Self {
        OfRealm {
            revoked: self.revoked.retain(parts.clone(), &keep, hasher),
            suspended: self.suspended.retain(parts, &keep, hasher),
            ..self.clone()
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.issued_before > 0) + self.revoked.len() + self.suspended.len() + self.apps.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.revoked.memory() + self.suspended.memory() + self.apps.memory()
    }
}
