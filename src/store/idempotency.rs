//! Idempotency: a request with an `Idempotency-Key` is done once, however often it comes.

use bulla::ApiKeyId;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Names a request of one caller.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey {
    pub(crate) key: String,
    /// SHA-256 of endpoint and body, in hex: the same key with another request is refused.
    pub(crate) request: String,
}

/// What a request with an idempotency key was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotentAnswer {
    /// As in [`IdempotencyKey`].
    pub(crate) request: String,
    /// The keys that were issued.
    pub(crate) api_key_ids: Vec<ApiKeyId>,
    pub(crate) at: Timestamp,
}

impl IdempotencyKey {
    /// The key of a request to `endpoint` with this body.
    pub(crate) fn new(key: &str, endpoint: &str, body: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(endpoint).chain_update([0]).chain_update(body).finalize();
        IdempotencyKey { key: key.to_owned(), request: hex::encode(digest) }
    }
}
