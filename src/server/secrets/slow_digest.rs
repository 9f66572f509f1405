//! Slow digests of presented texts, within the bounds of slow hashes: a text is hashed before it is known whether it is
//! a key, so that all unknown texts of a set share its attempts. A text that another row is known to be is no attempt:
//! it is hashed to learn whether the key has ended in this set.

use std::{sync::Arc, time::Instant};

use super::{SecretChecks, imported::MIN_PERMIT};
use crate::{imported::SlowText, server::blocking};

impl SecretChecks {
    /// The digest of a text, of which `is_known` tells whether a row has it; `None` where it cannot be computed now.
    pub(in crate::server) async fn slow_digest(
        self: &Arc<Self>,
        text: &SlowText,
        is_known_key: bool,
        is_known: impl Fn(&[u8]) -> bool,
    ) -> Option<Arc<[u8]>> {
        let key = self.cache.key(&*text.name());
        if let Some(digest) = self.digests.get(&key).await {
            self.metrics.secret_cache_hits.inc();
            return Some(digest);
        }
        let attempt = if is_known_key { None } else { self.attempts.take(text.id(), Instant::now()) };
        if attempt.is_none() && !is_known_key {
            self.metrics.secret_unchecked("too_many_wrong");
            return None;
        }
        let Ok(permit) = self.permit_while(text.memory_kib().max(MIN_PERMIT), || Ok(())).await else {
            self.metrics.secret_unchecked("busy");
            return None;
        };
        self.metrics.imported_slow_checks.inc();
        let slow = text.clone();
        let digest = blocking::run(move || {
            let digest = slow.digest();
            drop(permit);
            digest
        });
        let digest: Arc<[u8]> = digest.await.ok().flatten()?.into();
        if let Some(attempt) = attempt
            && !is_known(&digest)
        {
            attempt.spend();
        }
        self.digests.insert(key, Arc::clone(&digest)).await;
        Some(digest)
    }
}
