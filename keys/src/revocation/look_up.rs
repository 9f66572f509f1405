//! The look-up: one line of the filter for nearly every key, and the tables for the rest.

use uuid::Uuid;

use super::{
    Revocations,
    entry::{Key, hash},
};
use crate::realm::Realm;

impl Revocations {
    /// Has the processor fetch what `has` is going to look at, and waits for nothing.
    #[inline]
    pub(crate) fn prefetch(&self, id: &Key) {
        self.filter.prefetch(hash(id, &self.hasher));
    }

    /// Whether the key is revoked. It needs fields that only the opened seal has.
    #[inline(never)]
    pub(crate) fn has(&self, realm: &Realm, id: &Key, app_id: Uuid, issued_at: u32) -> bool {
        let hash = hash(id, &self.hasher);
        (self.filter.may_hold(hash) && self.holds(realm, id, hash))
            || (issued_at < self.ruled_before && self.rules_out(realm, app_id, issued_at))
    }

    /// What `has` comes to for an id that the filter does not rule out.
    #[cold]
    fn holds(&self, realm: &Realm, id: &Key, hash: u64) -> bool {
        self.realm_index(realm).is_some_and(|of| of.holds(id, hash))
    }

    /// Whether a rule revokes what this app was issued at this time.
    #[inline(never)]
    fn rules_out(&self, realm: &Realm, app_id: Uuid, issued_at: u32) -> bool {
        issued_at < self.issued_before(app_id, *realm)
    }
}
