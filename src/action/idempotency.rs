//! Idempotency: a request with an `Idempotency-Key` is done once, however often it arrives. A repeated request gets the
//! ids of the first time, for a day. The same key with another request is refused.

use bulla::ApiKeyId;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::ActionError;
use crate::store::{IdempotentAnswer, StoreError, Transaction};

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
    /// The key of a request to `endpoint` with this body.
    pub(crate) fn new(key: &str, endpoint: &str, body: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(endpoint).chain_update([0]).chain_update(body).finalize();
        IdempotencyKey { key: key.to_owned(), request: hex::encode(digest) }
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
