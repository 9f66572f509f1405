//! A look-up in two halves: the first has the processor fetch what the second looks at. Memory takes about as long as
//! opening a seal does, so a verifier begins the one before the other and waits for neither twice.

use uuid::Uuid;

use super::{
    Revocations,
    chunk::Chunk,
    entry::{Key, key},
    filter::Place,
    of_realm::OfRealm,
};
use crate::ApiKeyId;

/// A key that is being looked for.
pub(crate) struct Sought<'a> {
    revocations: &'a Revocations,
    realm: Option<OfOneRealm<'a>>,
}

struct OfOneRealm<'a> {
    realm: &'a OfRealm,
    id: Key,
    revoked: Option<InTable<'a>>,
    suspended: Option<InTable<'a>>,
}

/// Where a table has the key if it has it.
pub(super) struct InTable<'a> {
    pub(super) chunk: &'a Chunk,
    pub(super) place: Place<'a>,
    pub(super) hash: u64,
    pub(super) depth: u32,
}

impl<'a> Sought<'a> {
    // Not inlined: beside the seal it would cost keys something where nothing is revoked at all.
    #[inline(never)]
    pub(super) fn new(revocations: &'a Revocations, id: &ApiKeyId) -> Self {
        let realm = revocations.of_realm(id.realm()).map(|realm| {
            let (id, hasher) = (key(id), &revocations.hasher);
            let [revoked, suspended] = [&realm.revoked, &realm.suspended].map(|table| table.seek(&id, hasher));
            OfOneRealm { realm, id, revoked, suspended }
        });
        Sought { revocations, realm }
    }

    /// Whether the key has been taken back, which takes what only its seal says.
    #[inline(never)]
    pub(crate) fn is_taken_back(&self, app_id: Uuid, issued_at: u32) -> bool {
        let hasher = &self.revocations.hasher;
        self.revocations.apps.get(app_id.as_bytes(), hasher).is_some_and(|before| issued_at < before)
            || self.realm.as_ref().is_some_and(|of| {
                let has = |table: &Option<InTable<'_>>| table.as_ref().is_some_and(|at| at.get(&of.id).is_some());
                has(&of.revoked) || has(&of.suspended) || of.realm.rules_out(app_id, issued_at, hasher)
            })
    }
}

impl InTable<'_> {
    #[inline]
    pub(super) fn get(&self, key: &Key) -> Option<u32> {
        if self.place.may_hold() { self.chunk.find(key, self.hash, self.depth) } else { None }
    }
}
