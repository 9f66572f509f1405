//! The answer to a request with an `Idempotency-Key`, as a store remembers it.

use bulla::ApiKeyId;
use jiff::Timestamp;

/// What a request with an idempotency key was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotentAnswer {
    /// SHA-256 of endpoint and body, in hex.
    pub(crate) request: String,
    /// The keys that were issued.
    pub(crate) api_key_ids: Vec<ApiKeyId>,
    pub(crate) at: Timestamp,
}
