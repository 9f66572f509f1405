//! Secret halves that were found right a moment ago, so that they are not hashed for every request. It says of a whole
//! API key that its secret half is right, and nothing else: revocation, expiry, scope, audience and address are checked
//! every time.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use moka::future::Cache;
use sha2::Sha256;

/// That a secret half is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// The number of the newest hash that was stored then: a newer one ends the proof.
    pub(crate) as_of: u64,
    /// When the hash that it is by ends.
    pub(crate) end: Option<End>,
}

/// An end by two clocks, of which the first one to reach it counts: a wall clock that was set back revives nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// In Unix seconds.
    at: u64,
    /// None where it is too far away for the clock.
    monotonic: Option<Instant>,
}

impl Proof {
    /// By a hash that never changes.
    pub(crate) const FOR_GOOD: Proof = Proof { as_of: u64::MAX, end: None };
}

impl End {
    /// The end at `at`, where it is `now`, both in Unix seconds.
    pub(crate) fn new(at: u64, now: u64) -> Self {
        let monotonic = Instant::now().checked_add(Duration::from_secs(at.saturating_sub(now)));
        End { at, monotonic }
    }

    /// Returns whether it has come at `now`, in Unix seconds.
    pub(crate) fn has_come(&self, now: u64) -> bool {
        let passed = self.monotonic.is_some_and(|end| Instant::now() >= end);
        now >= self.at || passed
    }

    /// How many seconds are left at `now`, in Unix seconds, by the clock that says fewer.
    pub(crate) fn left(&self, now: u64) -> u64 {
        let by_monotonic = self.monotonic.map(|end| end.saturating_duration_since(Instant::now()).as_secs());
        let left = self.at.saturating_sub(now);
        by_monotonic.map_or(left, |by_monotonic| left.min(by_monotonic))
    }
}

/// Proofs, under HMAC-SHA256 of the whole API key with a key that this process drew and nobody else has.
pub(crate) struct SecretCache {
    key: Hmac<Sha256>,
    proofs: Cache<CacheKey, Proof>,
}

pub(crate) type CacheKey = [u8; 32];

impl SecretCache {
    /// Keeps at most `size` proofs, each for `ttl` at most.
    pub(crate) fn new(key: &[u8; 32], size: u64, ttl: Duration) -> Self {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let key = Hmac::new_from_slice(key).expect("a key of any length");
        SecretCache { key, proofs: Cache::builder().max_capacity(size).time_to_live(ttl).build() }
    }

    /// The key under which the proof of this API key is kept.
    pub(crate) fn key(&self, api_key: impl AsRef<[u8]>) -> CacheKey {
        self.key.clone().chain_update(api_key).finalize().into_bytes().into()
    }

    /// The same in one era: a proof of an earlier one is not found.
    pub(crate) fn key_in(&self, era: u64, api_key: &str) -> CacheKey {
        self.key.clone().chain_update(era.to_be_bytes()).chain_update(api_key).finalize().into_bytes().into()
    }

    /// The proof, if there is one.
    pub(crate) async fn get(&self, key: &CacheKey) -> Option<Proof> {
        self.proofs.get(key).await
    }

    /// The proof, or what `prove` comes to: requests for the same one meanwhile wait for it, too.
    pub(crate) async fn get_or<E: Send + Sync + 'static>(
        &self,
        key: CacheKey,
        prove: impl Future<Output = Result<Proof, E>>,
    ) -> Result<Proof, Arc<E>> {
        self.proofs.try_get_with(key, prove).await
    }

    /// Remembers a proof anew.
    pub(crate) async fn renew(&self, key: CacheKey, proof: Proof) {
        self.proofs.insert(key, proof).await;
    }

    /// Forgets all proofs, as the time to live does in the end.
    #[cfg(test)]
    pub(crate) fn forget_all(&self) {
        self.proofs.invalidate_all();
    }

    /// Forgets a proof.
    pub(crate) async fn forget(&self, key: &CacheKey) {
        self.proofs.invalidate(key).await;
    }
}
