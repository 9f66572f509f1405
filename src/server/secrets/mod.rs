//! Checking secret halves: what was right a moment ago is remembered, and hashes are computed within bounds, after
//! everything else about a key holds.

mod again;
mod attempts;
pub(crate) mod cache;
pub(super) mod changes;
mod imported;
mod memory;
mod rehash;
mod scrub;
mod slow_digest;

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bulla::{
    ApiKeyId, Rejection, SecretCheck,
    secret::{HashMemory, SecretDigest},
};
use moka::future::Cache;
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

pub(super) use self::{again::FoundRight, scrub::Scrub};
use self::{
    attempts::Attempts,
    cache::{CacheKey, End, Proof, SecretCache},
    changes::Changes,
    memory::{MemoryBudget, Permit},
};
use super::{blocking, live::Live};
use crate::{
    clock,
    config::SecretConfig,
    secret::{self, Found, Peppers, Stored},
    store::{Store, StoreError},
    telemetry::{
        metrics::{HashLabel, Metrics},
        rate_limit::LineLimit,
    },
    verification::Checked,
};

/// Interval between checks of a key that waits for memory: a key that has ended leaves the queue.
const RECHECK_INTERVAL: Duration = Duration::from_millis(500);
/// The most attempts to check a secret half whose stored hash changes meanwhile.
const TRIES: usize = 3;

/// What checking stored hashes takes: of secret halves, and of imported keys.
pub(crate) struct SecretChecks {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    cache: SecretCache,
    /// Slow digests of presented texts.
    digests: Cache<CacheKey, Arc<[u8]>>,
    memory: MemoryBudget,
    attempts: Arc<Attempts>,
    changes: Changes,
    /// The log of the store whose changes these are; none before the first look.
    log_id: Mutex<Option<String>>,
}

/// Why a secret half was not verified.
#[derive(Debug)]
enum Unproven {
    Wrong,
    /// The key was ended while its secret half waited to be hashed.
    Ended(Rejection),
    CouldNotTell(&'static str),
}

impl SecretChecks {
    /// Knows the store as it is now.
    pub(super) fn load(
        config: &SecretConfig,
        live: Arc<Live>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(key.as_mut_slice()).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(SecretChecks {
            changes: Changes::load(&*store)?,
            live,
            store,
            metrics,
            cache: SecretCache::new(&key, config.cache_size, config.cache_ttl.0),
            digests: Cache::builder().max_capacity(config.cache_size).time_to_idle(config.cache_ttl.0).build(),
            memory: MemoryBudget::new(config.memory_mib, config.queue),
            attempts: Arc::new(Attempts::new(config.wrong_per_minute)),
            log_id: Mutex::default(),
        })
    }

    /// Reads which secret halves were changed, here or by another process: proofs from before end. Where another log
    /// has begun, the store may have lost changes, whose numbers are given out again: then all proofs end.
    pub(super) fn follow(&self, log_id: Option<String>, remembered: Duration) -> Result<(), StoreError> {
        {
            let mut known = self.log_id.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_some() && *known != log_id {
                self.changes.begin_era();
            }
            *known = log_id;
        }
        self.changes.follow(&*self.store, remembered)
    }

    /// Which secret halves were changed.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// That this text's secret half is right, and the log of the store that says so, for those who remember it
    /// elsewhere; none where nobody remembers it here.
    pub(super) async fn proof(&self, text: &str, id: &ApiKeyId) -> Option<(Proof, String)> {
        // Before the look at what was changed, so that it includes every change up to here.
        let (log_id, era, seen) = {
            let log_id = self.log_id.lock().unwrap_or_else(PoisonError::into_inner);
            (log_id.clone()?, self.changes.era(), self.changes.seen())
        };
        let proof = self.cache.get(&self.cache.key_in(era, text)).await?;
        let holds = self.still_holds(id, proof) && self.changes.era() == era;
        holds.then(|| (Proof { as_of: proof.as_of.max(seen), ..proof }, log_id))
    }

    /// How many checks wait for memory.
    pub(super) fn waiting(&self) -> usize {
        self.memory.waiting()
    }

    #[cfg(test)]
    pub(super) fn forget_proofs(&self) {
        self.cache.forget_all();
    }

    /// Returns whether the presented secret half is right, by what is remembered or by the stored hashes.
    pub(super) async fn check(
        self: &Arc<Self>,
        peppers: Option<&Arc<Peppers>>,
        text: &str,
        check: &SecretCheck,
    ) -> Checked {
        self.prove(peppers, text, (check, false)).await.err().unwrap_or(Checked::Right)
    }

    /// The proof that the presented secret half is right; `is_again` where it was right before.
    async fn prove(
        self: &Arc<Self>,
        peppers: Option<&Arc<Peppers>>,
        text: &str,
        (check, is_again): (&SecretCheck, bool),
    ) -> Result<Proof, Checked> {
        let (id, key) = (check.id(), self.cache.key_in(self.changes.era(), text));
        if let Some(proof) = self.cache.get(&key).await {
            if self.still_holds(&id, proof) {
                self.metrics.secret_cache_hits.inc();
                return Ok(proof);
            }
            self.cache.forget(&key).await;
        }
        let Some(peppers) = peppers else { return Err(self.could_not_tell("no_pepper")) };
        for _ in 0..TRIES {
            let digests = peppers.digests(check);
            match self.cache.get_or(key, self.hash((check, is_again), Arc::clone(peppers), digests)).await {
                Ok(proof) if self.still_holds(&id, proof) => return Ok(proof),
                // The stored hash changed while the text was hashed.
                Ok(_) => self.cache.forget(&key).await,
                Err(unproven) => return Err(self.answer(&unproven)),
            }
        }
        Err(self.could_not_tell("changed"))
    }

    fn still_holds(&self, id: &ApiKeyId, proof: Proof) -> bool {
        !self.changes.is_newer(id, proof.as_of) && !proof.end.is_some_and(|end| end.has_come(clock::now_seconds()))
    }

    fn answer(&self, unproven: &Unproven) -> Checked {
        match *unproven {
            Unproven::Wrong => Checked::Wrong,
            Unproven::Ended(rejection) => Checked::Ended(rejection),
            Unproven::CouldNotTell(why) => self.could_not_tell(why),
        }
    }

    fn could_not_tell(&self, why: &'static str) -> Checked {
        self.metrics.secret_unchecked(why);
        Checked::CouldNotTell
    }

    /// Compares with what is stored, in the memory that there is for it.
    async fn hash(
        self: &Arc<Self>,
        (check, is_again): (&SecretCheck, bool),
        peppers: Arc<Peppers>,
        digests: Vec<SecretDigest>,
    ) -> Result<Proof, Unproven> {
        let id = check.id();
        let attempt = match is_again {
            true => None,
            false => Some(self.attempts.take(id, Instant::now()).ok_or(Unproven::CouldNotTell("too_many_wrong"))?),
        };
        // Before the rows are read. The newest change may be of a hash that is not among them, as it has ended since.
        let seen = self.changes.seen();
        let store = Arc::clone(&self.store);
        let rows = blocking::run(move || store.secret_hashes(&id, clock::now())).await;
        let Ok(Ok(rows)) = rows else { return Err(Unproven::CouldNotTell("store")) };
        let stored = Stored::read(&id, rows, &peppers);
        let as_of = stored.newest().max(seen);
        let permit = match stored.memory_kib() {
            0 => None,
            kib => {
                let holds = || check.holds(self.live.load().verifier(), clock::now_seconds());
                Some(self.permit_while(kib, holds).await?)
            }
        };
        let checks = Arc::clone(self);
        let found = blocking::run(move || {
            let found = checks.find(id, stored, (&peppers, &digests), permit);
            // Here, where it happens also when the client has hung up.
            if matches!(found, Found::Wrong)
                && let Some(attempt) = attempt
            {
                attempt.spend();
            }
            (found, peppers, digests)
        });
        let Ok((found, peppers, digests)) = found.await else { return Err(Unproven::CouldNotTell("failed")) };
        match found {
            Found::Right { row, rehash } => {
                if rehash {
                    tokio::spawn(Arc::clone(self).rehash(id, row.clone(), peppers, digests));
                }
                let end = row.retires_at.and_then(|at| u64::try_from(at.as_second()).ok());
                Ok(Proof { as_of, end: end.map(|at| End::new(at, clock::now_seconds())) })
            }
            Found::Wrong => Err(Unproven::Wrong),
            Found::CouldNotTell(error) => {
                static LINES: LineLimit = LineLimit::new();
                if let Some(kept_back) = LINES.allow(Instant::now()) {
                    tracing::error!(%id, error, kept_back, "a stored hash of a secret half cannot be used");
                }
                Err(Unproven::CouldNotTell("hash"))
            }
        }
    }

    /// Memory for a slow hash, for as long as the key holds: one that was ended meanwhile takes none.
    async fn permit_while(&self, kib: u32, holds: impl Fn() -> Result<(), Rejection>) -> Result<Permit, Unproven> {
        let mut waiting = pin!(self.memory.permit(kib));
        loop {
            let permit = tokio::time::timeout(RECHECK_INTERVAL, waiting.as_mut()).await;
            holds().map_err(Unproven::Ended)?;
            if let Ok(permit) = permit {
                return permit.map_err(|_| Unproven::CouldNotTell("busy"));
            }
        }
    }

    /// On a thread that may block. The permit is given back when the work is done, and not before.
    fn find(
        &self,
        id: ApiKeyId,
        stored: Stored,
        (peppers, digests): (&Peppers, &[SecretDigest]),
        permit: Option<Permit>,
    ) -> Found {
        let active = peppers.active().version();
        let scheme = secret::scheme_of(&self.live.load().config, id.realm());
        let label = HashLabel { scheme: if stored.slow() > 0 { "argon2id" } else { "hmac-sha256" } };
        self.metrics.secret_hashes.get_or_create(&label).inc_by(stored.slow().max(1) as u64);
        match &permit {
            Some(permit) => self.memory.work(permit, |memory| stored.find(digests, memory, scheme, active)),
            None => stored.find(digests, &mut HashMemory::default(), scheme, active),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_comes_by_whichever_clock_reaches_it_first() {
        let end = End::new(1_060, 1_000);
        assert_eq!([end.has_come(1_059), end.has_come(1_060)], [false, true], "by the wall clock");
        let end = End::new(1_000, 1_000);
        assert!(end.has_come(500), "a wall clock that was set back does not put it off");
        assert!(!End::new(u64::MAX, 0).has_come(u64::MAX - 1), "farther than a clock can tell");
        let end = End::new(1_060, 1_000);
        assert_eq!([end.left(1_050), end.left(1_060), end.left(2_000)], [10, 0, 0]);
        assert!(end.left(0) <= 60, "a wall clock that was set back leaves no more");
        assert_eq!(End::new(u64::MAX, 0).left(7), u64::MAX - 7);
    }
}
