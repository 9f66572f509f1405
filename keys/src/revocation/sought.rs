//! A look-up in two halves: the first has the processor fetch what the second looks at. Memory takes longer than opening a
//! seal does, so a verifier begins with the one before it does anything else, and waits for neither twice.

use uuid::Uuid;

use super::{
    Revocations,
    entry::{Key, hash},
};
use crate::Realm;

/// A key that is being looked for: so little that it stays in registers while the seal is opened.
#[derive(Clone, Copy)]
pub(crate) struct Sought {
    hash: u64,
}

impl Revocations {
    /// The first half of `contains`.
    // Neither half is inlined: beside the seal it would cost keys something where nothing is revoked at all.
    #[inline(never)]
    pub(crate) fn seek(&self, id: &Key) -> Sought {
        let hash = hash(id, &self.hasher);
        self.filter.prefetch(hash);
        Sought { hash }
    }

    /// The second half: whether the key has been taken back, which takes what only its seal says.
    #[inline(never)]
    pub(crate) fn has(&self, sought: Sought, realm: &Realm, id: &Key, app_id: Uuid, issued_at: u32) -> bool {
        (self.filter.may_hold(sought.hash) && self.holds(sought, realm, id))
            || (issued_at < self.ruled_before && self.rules_out(realm, app_id, issued_at))
    }

    /// What `has` comes to for an id that the filter does not rule out.
    #[cold]
    fn holds(&self, sought: Sought, realm: &Realm, id: &Key) -> bool {
        self.of_realm(realm).is_some_and(|of| of.holds(id, sought.hash))
    }

    /// Whether a rule takes back what this app was issued at this time.
    #[inline(never)]
    fn rules_out(&self, realm: &Realm, app_id: Uuid, issued_at: u32) -> bool {
        issued_at < self.issued_before(app_id, *realm)
    }
}
