//! The look-up: one line of the filter for nearly every key, and the tables for the rest.

use uuid::Uuid;

use super::{
    Revocations,
    entry::{Key, hash},
};
use crate::realm::Realm;

impl Revocations {
    /// Has the processor fetch what `is_revoked` is going to read, and waits for nothing.
    #[inline]
    pub(crate) fn prefetch(&self, id: &Key) {
        self.filter.prefetch(hash(id, &self.hasher));
    }

    /// Returns whether the key is revoked. It needs fields that only the opened seal has.
    #[inline(never)]
    pub(crate) fn is_revoked(&self, realm: &Realm, id: &Key, app_id: Uuid, issued_at: u32) -> bool {
        let hash = hash(id, &self.hasher);
        (self.filter.may_hold(hash) && self.is_listed(realm, id, hash))
            || (issued_at < self.ruled_before && self.matches_rule(realm, app_id, issued_at))
    }

    /// Returns whether the list has an id that the filter does not rule out.
    #[cold]
    fn is_listed(&self, realm: &Realm, id: &Key, hash: u64) -> bool {
        self.realm_index(realm).is_some_and(|of| of.holds(id, hash))
    }

    /// Returns whether a rule revokes what this app was issued at this time.
    #[inline(never)]
    fn matches_rule(&self, realm: &Realm, app_id: Uuid, issued_at: u32) -> bool {
        issued_at < self.issued_before(app_id, *realm)
    }
}
