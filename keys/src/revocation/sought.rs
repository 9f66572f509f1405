//! A look-up in two halves: the first has the processor fetch what the second looks at. Memory takes about as long as
//! opening a seal does, so a verifier begins the one before the other and waits for neither twice.

use uuid::Uuid;

use super::{
    Revocations,
    entry::{Key, hash},
    of_realm::OfRealm,
};
use crate::Realm;

/// A key that is being looked for: so little that it stays in registers while the seal is opened. The way to the filter
/// is gone a second time, which then lies in the nearest cache.
pub(crate) struct Sought<'a> {
    realm: Option<&'a OfRealm>,
    hash: u64,
}

impl Revocations {
    /// The first half of `contains`.
    // Neither half is inlined: beside the seal it would cost keys something where nothing is revoked at all.
    #[inline(never)]
    pub(crate) fn seek(&self, realm: &Realm, id: &Key) -> Sought<'_> {
        let hash = hash(id, &self.hasher);
        let realm = self.of_realm(realm);
        if let Some(of) = realm {
            of.revoked.prefetch(hash);
            of.suspended.prefetch(hash);
        }
        Sought { realm, hash }
    }

    /// The second half: whether the key has been taken back, which takes what only its seal says.
    #[inline(never)]
    pub(crate) fn has(&self, sought: &Sought<'_>, id: &Key, app_id: Uuid, issued_at: u32) -> bool {
        self.apps.get(app_id.as_bytes(), &self.hasher).is_some_and(|before| issued_at < before)
            || sought.realm.is_some_and(|of| {
                of.revoked.find(id, sought.hash).is_some()
                    || of.suspended.find(id, sought.hash).is_some()
                    || of.rules_out(app_id, issued_at, &self.hasher)
            })
    }
}
