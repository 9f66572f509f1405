//! What was found right a moment ago, so that it is not hashed for every request. It says of a whole API key that its secret
//! half is right, and nothing else: revocation, expiry, scope, audience and address are checked every time.

use std::{future::Future, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use moka::future::Cache;
use sha2::Sha256;

/// That a secret half is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// The number of the newest hash that was stored then: a newer one undoes the proof.
    pub(crate) as_of: u64,
    /// From when on the hash it is by counts no more, in Unix seconds.
    pub(crate) until: Option<u64>,
}

impl Proof {
    /// Of a hash that never changes.
    pub(crate) const FOR_GOOD: Proof = Proof { as_of: u64::MAX, until: None };
}

/// Proofs, under HMAC-SHA256 of the whole API key with a key that this process drew and nobody else has.
pub(crate) struct Proofs {
    key: Hmac<Sha256>,
    proofs: Cache<Name, Proof>,
}

pub(crate) type Name = [u8; 32];

impl Proofs {
    /// Keeps at most `size` proofs, each for `ttl` at most.
    pub(crate) fn new(key: &[u8; 32], size: u64, ttl: Duration) -> Self {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let key = Hmac::new_from_slice(key).expect("a key of any length");
        Proofs { key, proofs: Cache::builder().max_capacity(size).time_to_live(ttl).build() }
    }

    /// Under what the proof of this API key is kept.
    pub(crate) fn name(&self, api_key: impl AsRef<[u8]>) -> Name {
        self.key.clone().chain_update(api_key).finalize().into_bytes().into()
    }

    /// The proof, if there is one.
    pub(crate) async fn get(&self, name: &Name) -> Option<Proof> {
        self.proofs.get(name).await
    }

    /// The proof, or what `prove` comes to: whoever asks for the same one meanwhile waits for it too.
    pub(crate) async fn get_or<E: Send + Sync + 'static>(
        &self,
        name: Name,
        prove: impl Future<Output = Result<Proof, E>>,
    ) -> Result<Proof, Arc<E>> {
        self.proofs.try_get_with(name, prove).await
    }

    /// Remembers a proof anew.
    pub(crate) async fn renew(&self, name: Name, proof: Proof) {
        self.proofs.insert(name, proof).await;
    }

    /// Forgets all proofs, as the time to live does in the end.
    #[cfg(test)]
    pub(crate) fn forget_all(&self) {
        self.proofs.invalidate_all();
    }

    /// Forgets a proof.
    pub(crate) async fn forget(&self, name: &Name) {
        self.proofs.invalidate(name).await;
    }
}
