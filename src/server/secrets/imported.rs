//! Checking the hashes of imported keys: fast ones at once, slow ones within the same bounds as secret halves.

use std::{sync::Arc, time::Instant};

use zeroize::Zeroizing;

use super::{Proof, SecretChecks, Unproven};
use crate::{
    clock,
    imported::{Candidate, CheckError},
    server::blocking,
    telemetry::rate_limit::LineLimit,
    verification::Checked,
};

/// The smallest permit of the memory for slow hashes, in KiB: a permit stands for a core's time, too, of which bcrypt
/// takes much, with next to no memory.
pub(super) const MIN_PERMIT: u32 = 32 * 1024;

/// What a proof is kept by: right for one key is not right for another, nor for the same key with another hash, which a
/// correction of its row gives it. Texts that hash alike are one.
fn named(what: &str, candidate: &Candidate) -> Zeroizing<Vec<u8>> {
    let (hash, salt) = candidate.hash_and_salt();
    let name = format!("{what} {} {} {} ", candidate.key().id, hash.len(), salt.len());
    Zeroizing::new([name.as_bytes(), hash, salt, candidate.counting()].concat())
}

impl SecretChecks {
    /// Returns whether the text is this key.
    pub(in crate::server) async fn check_imported(self: &Arc<Self>, candidate: &Candidate) -> Checked {
        if !candidate.is_slow() {
            return self.compared(candidate, candidate.matches());
        }
        let key = self.cache.key(&*named("is", candidate));
        if let Some(proof) = self.cache.get(&key).await {
            self.metrics.secret_cache_hits.inc();
            // A key that is presented again and again stays remembered, no matter who else tries meanwhile.
            self.cache.renew(key, proof).await;
            return Checked::Right;
        }
        match self.cache.get_or(key, self.hash_imported(candidate.clone())).await {
            Ok(_) => Checked::Right,
            Err(unproven) => self.answer(&unproven),
        }
    }

    /// Returns whether the text is this key, which may have been revoked or have expired. A wrong one is remembered,
    /// too: a client that presents a good key again and again uses up no attempts at another one that has the same
    /// public part.
    pub(in crate::server) async fn check_ended_imported(self: &Arc<Self>, candidate: &Candidate) -> Checked {
        if !candidate.is_slow() {
            return self.compared(candidate, candidate.matches());
        }
        let not = self.cache.key(&*named("not", candidate));
        if let Some(proof) = self.cache.get(&not).await {
            self.cache.renew(not, proof).await;
            return Checked::Wrong;
        }
        let answer = self.check_imported(candidate).await;
        if answer == Checked::Wrong {
            self.cache.renew(not, Proof::FOR_GOOD).await;
        }
        answer
    }

    async fn hash_imported(self: &Arc<Self>, candidate: Candidate) -> Result<Proof, Unproven> {
        let id = candidate.key().id;
        let attempt = self.attempts.take(id, Instant::now());
        let attempt = attempt.ok_or(Unproven::CouldNotTell("too_many_wrong"))?;
        let key = Arc::clone(candidate.key());
        let holds = || key.holds(&[id.realm()], self.live.load().verifier().revocations(), clock::now_seconds());
        // Of one that was ended before, it is asked whether the text is that key: another may have the same public
        // part.
        let ended_before = holds().is_err();
        let kib = candidate.memory_kib().max(MIN_PERMIT);
        let permit = self.permit_while(kib, || if ended_before { Ok(()) } else { holds() }).await?;
        let checks = Arc::clone(self);
        let checked = blocking::run(move || {
            checks.metrics.imported_slow_checks.inc();
            let answer = checks.compared(&candidate, candidate.matches());
            drop(permit);
            if answer == Checked::Wrong {
                attempt.spend();
            }
            answer
        });
        match checked.await {
            Ok(Checked::Right) => Ok(Proof::FOR_GOOD),
            Ok(Checked::Wrong) => Err(Unproven::Wrong),
            Ok(_) => Err(Unproven::CouldNotTell("hash")),
            Err(_) => Err(Unproven::CouldNotTell("failed")),
        }
    }

    fn compared(&self, candidate: &Candidate, matches: Result<bool, CheckError>) -> Checked {
        match matches {
            Ok(true) => Checked::Right,
            Ok(false) => Checked::Wrong,
            Err(error) => {
                static LINES: LineLimit = LineLimit::new();
                if let Some(kept_back) = LINES.allow(Instant::now()) {
                    tracing::error!(id = %candidate.key().id, %error, kept_back, "imported key could not be checked");
                }
                Checked::CouldNotTell
            }
        }
    }
}
