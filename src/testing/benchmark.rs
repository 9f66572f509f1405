//! What benchmarks need of the service: how it counts the uses of keys, and how it remembers that secret halves are
//! right.

use std::{convert::Infallible, time::Duration};

use bulla::ApiKeyId;

use crate::{
    last_used::{self, Use},
    server::secrets::cache::{self, Proof},
};

/// The uses of API keys, as the service counts them.
pub struct LastUsed(last_used::LastUsed);

/// Counted uses, as the store gets them.
pub struct Batch(Vec<Use>);

impl LastUsed {
    /// Counts the uses of at most this number of keys.
    pub fn new(ids: usize) -> Self {
        LastUsed(last_used::LastUsed::new(ids))
    }

    /// Notes a use at `now`, in Unix seconds.
    #[inline]
    pub fn note(&self, id: ApiKeyId, now: u64) {
        self.0.note(id, now);
    }

    /// Counts what was noted.
    pub fn collect(&self) {
        self.0.collect();
    }

    /// Takes what was counted.
    pub fn take(&self) -> Batch {
        Batch(self.0.take())
    }

    /// Uses that were not counted, for want of room.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

impl Batch {
    /// How many keys were used.
    pub fn keys(&self) -> usize {
        self.0.len()
    }

    /// How often, all together.
    pub fn uses(&self) -> u64 {
        self.0.iter().map(|one| one.count).sum()
    }
}

/// API keys whose secret half was right a moment ago, as the service remembers them.
pub struct SecretCache(cache::SecretCache);

impl SecretCache {
    /// Remembers at most `size` keys, each for `ttl`.
    pub fn new(size: u64, ttl: Duration) -> Self {
        SecretCache(cache::SecretCache::new(&[7; 32], size, ttl))
    }

    /// Remembers a key.
    pub async fn remember(&self, api_key: &str) {
        let proof = async { Ok::<_, Infallible>(Proof { as_of: 1, end: None }) };
        let _infallible = self.0.get_or(self.0.key(api_key), proof).await;
    }

    /// Returns whether the key is remembered.
    pub async fn holds(&self, api_key: &str) -> bool {
        self.0.get(&self.0.key(api_key)).await.is_some()
    }
}
