//! Idempotency: a request with an `Idempotency-Key` is done once, however often it arrives. A repeated request gets the
//! ids of the first time, for a day. The same key with another request is refused.

use bulla::ApiKeyId;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::ActionError;
use crate::{
    input::nearly_a_key::is_nearly_within,
    store::{IdempotentAnswer, StoreError, Transaction},
};

/// How long an answer is remembered.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Names a request of one caller.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey {
    key: String,
    /// SHA-256 of endpoint and body, in hex.
    request: String,
}

impl IdempotencyKey {
    /// The key of a request to `endpoint` with this body. Clients draw keys at random, and one that reads like a piece of
    /// an API key is as good as any other: only its hash is stored.
    pub(crate) fn new(key: &str, endpoint: &str, body: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(endpoint).chain_update([0]).chain_update(body).finalize();
        let key = if is_nearly_within(key) { hex::encode(Sha256::digest(key)) } else { key.to_owned() };
        IdempotencyKey { key, request: hex::encode(digest) }
    }

    /// The API keys that this caller's request got before; none if it is new.
    pub(super) fn replay(
        &self,
        transaction: &dyn Transaction,
        caller: &str,
    ) -> Result<Option<Vec<ApiKeyId>>, ActionError> {
        match transaction.idempotent_answer(caller, &self.key)? {
            Some(before) if before.request == self.request => Ok(Some(before.api_key_ids)),
            Some(_) => Err(ActionError::KeyReused),
            None => Ok(None),
        }
    }

    /// Remembers what this caller's request got.
    pub(super) fn remember(
        &self,
        transaction: &mut dyn Transaction,
        caller: &str,
        api_key_ids: Vec<ApiKeyId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let answer = IdempotentAnswer { request: self.request.clone(), api_key_ids, at };
        transaction.remember_answer(caller, &self.key, &answer)
    }
}

/// Answers from before the returned time are forgotten at `now`.
pub(crate) fn forgotten_before(now: Timestamp) -> Timestamp {
    now.checked_sub(REMEMBERED_FOR).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_reads_like_a_piece_of_an_api_key_is_stored_as_its_hash() {
        let stored = |key: &str| IdempotencyKey::new(key, "/v1/api-keys", b"{}").key;
        let plain = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
        assert_eq!(stored(plain), plain);
        let broken = "cme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
        let hash = stored(broken);
        assert_eq!((hash.len(), stored(broken) == hash), (64, true));
        assert_ne!(stored(&broken[1..]), hash);
        assert!(!hash.contains("XzbyFf5r"));
    }
}
