//! Sets of imported keys: all keys of one layout in one realm.

use bulla::{ApiKeyId, Realm, claims::Claims};
use hmac::Mac;
use uuid::Uuid;

use super::{HmacKey, KeyLayout, hmac_key::keyed, scheme::Check};

/// One set.
#[derive(Debug)]
pub(crate) struct Set {
    /// Its number in the store.
    pub(crate) number: i64,
    pub(crate) realm: Realm,
    pub(crate) layout: KeyLayout,
    /// Random, so that the ids of its keys reveal nothing of the keys.
    pub(crate) id_key: [u8; 16],
    /// Where the layout names one.
    pub(crate) hmac_key: Option<HmacKey>,
}

/// An imported key as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImportedRow {
    /// Its place in the ledger.
    pub(crate) place: i64,
    /// The number of its set.
    pub(crate) set: i64,
    pub(crate) id: ApiKeyId,
    pub(crate) app_id: Uuid,
    pub(crate) issued_at: u32,
    pub(crate) expires_at: Option<u32>,
    pub(crate) claims: Claims,
    pub(crate) public: Option<Box<[u8]>>,
    pub(crate) check: Check,
    pub(crate) replaced: bool,
}

impl ImportedRow {
    /// What finds it: the public part, or the digest.
    pub(super) fn found_by(&self) -> &[u8] {
        match (&self.public, &self.check) {
            (Some(public), _) => public,
            (None, Check::Fast { digest, .. }) => digest,
            (None, Check::Slow(_)) => &[],
        }
    }
}

impl Set {
    /// The id of the key that these bytes find: the same for every import.
    pub(crate) fn id_of(&self, found_by: &[u8]) -> ApiKeyId {
        let digest: [u8; 32] = keyed(&self.id_key).chain_update(found_by).finalize().into_bytes().into();
        ApiKeyId::unsealed(self.realm, digest.first_chunk().copied().unwrap_or_default())
    }
}
