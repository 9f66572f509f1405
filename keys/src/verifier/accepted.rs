//! An accepted key where it was opened, for a caller that copies what it wants of it.

use uuid::Uuid;

use super::Judged;
use crate::{
    api_key::{ApiKeyId, id::MAX_ID_CHARS, text::ID_CHARS},
    claims::View,
    realm::MIN_LEN,
};

/// What a [`Verified`](super::Verified) is made of. It borrows the key's text and the opened seal.
pub(crate) struct Accepted<'t> {
    text: &'t [u8],
    judged: &'t Judged<'t, 't>,
}

impl<'t> Accepted<'t> {
    #[inline(always)]
    pub(super) fn new(text: &'t [u8], judged: &'t Judged<'t, 't>) -> Self {
        Accepted { text, judged }
    }

    #[inline(always)]
    pub(crate) fn id(&self) -> ApiKeyId {
        ApiKeyId::new(*self.judged.realm, *self.judged.id)
    }

    /// Writes the id's text, which the key begins with: nothing is encoded anew. Returns how many characters it has.
    #[inline(always)]
    pub(crate) fn write_id(&self, room: &mut [u8; MAX_ID_CHARS]) -> usize {
        /// At most the characters of the shortest id, and at least half of those of the longest.
        const HALF: usize = 24;
        const { assert!(HALF <= MIN_LEN + 1 + ID_CHARS && MAX_ID_CHARS <= 2 * HALF) };
        let length = self.judged.realm.as_slice().len() + 1 + ID_CHARS;
        let id = self.text.get(..length).unwrap_or_default();
        // Two copies whose length is known take less time than one whose length is not. They overlap.
        let (Some(front), Some(back)) = (id.first_chunk::<HALF>(), id.last_chunk::<HALF>()) else { return 0 };
        room[..HALF].copy_from_slice(front);
        room[length - HALF..length].copy_from_slice(back);
        length
    }

    #[inline(always)]
    pub(crate) fn app_id(&self) -> Uuid {
        self.judged.payload().app_id
    }

    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn issued_at(&self) -> u64 {
        self.judged.payload().issued_at.into()
    }

    /// 0 is never.
    #[inline(always)]
    pub(crate) fn expires_at(&self) -> u32 {
        self.judged.payload().expires_at
    }

    /// The claims' bytes.
    #[inline(always)]
    pub(crate) fn sealed(&self) -> &'t [u8] {
        self.judged.sealed
    }

    /// What was read from them.
    #[inline(always)]
    pub(crate) fn claims(&self) -> &View<'t> {
        &self.judged.claims
    }
}
