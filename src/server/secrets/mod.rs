//! Checking secret halves: what was right a moment ago is remembered, and hashes are computed within bounds, after everything
//! else about a key holds.

mod attempts;
mod cache;
mod look;
mod pool;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bulla::{ApiKeyId, Rejection, SecretCheck, SecretDigest, VerifyError};
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use self::{
    attempts::Attempts,
    cache::Proofs,
    pool::{Pool, Share},
};
pub(super) use self::{cache::Proof, look::HashLook};
use super::{App, blocking, snapshot::Snapshot, standing::LOOK};
use crate::{
    clock,
    config::SecretConfig,
    secret::{self, Found, Peppers, Stored},
    store::{SecretRow, Store, StoreError},
    telemetry::{limit::LineLimit, metrics::HashLabel},
};

/// How often a secret half is checked that changes meanwhile.
const TRIES: usize = 3;

/// What checking takes.
pub(crate) struct Secrets {
    pub(super) proofs: Proofs,
    pub(super) pool: Pool,
    pub(super) attempts: Arc<Attempts>,
    changed: Mutex<Changed>,
    broken_lines: LineLimit,
}

/// Keys whose secret halves changed, for as long as a proof from before may be remembered.
#[derive(Default)]
struct Changed {
    /// Everything that is stored up to here has been seen.
    seq: u64,
    /// With when that was heard of, by a clock that nobody sets, as proofs are remembered by.
    newest: HashMap<ApiKeyId, (u64, Instant)>,
}

/// Why a secret half was not found right.
#[derive(Debug)]
pub(super) enum Unproven {
    Wrong,
    /// The key was ended while its secret half waited to be hashed.
    Ended(Rejection),
    CouldNotTell(&'static str),
}

impl Secrets {
    /// Knows the store as it is now.
    pub(super) fn load(config: &SecretConfig, store: &dyn Store) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(key.as_mut_slice()).map_err(|error| StoreError::Failed(error.to_string()))?;
        let end = store.secret_changes(u64::MAX >> 1)?.end;
        Ok(Secrets {
            proofs: Proofs::new(&key, config.cache_size, config.cache_ttl.0),
            pool: Pool::new(config.memory_mib, config.queue),
            attempts: Arc::new(Attempts::new(config.wrong_per_minute)),
            changed: Mutex::new(Changed { seq: end, newest: HashMap::new() }),
            broken_lines: LineLimit::new(),
        })
    }

    /// Hears of secret halves that were changed, here or by another process: proofs from before are proofs no more.
    pub(super) fn read_on(&self, store: &dyn Store, remembered: Duration) -> Result<(), StoreError> {
        // The store is asked without the lock, which requests take: a store that hangs must not hold them.
        let before = self.seen();
        let changes = store.secret_changes(before)?;
        let now = Instant::now();
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        // Behind where it was is another store; otherwise another thread may have read further meanwhile.
        changed.seq = if changes.end < before { changes.end } else { changed.seq.max(changes.end) };
        for (seq, id) in changes.changed {
            let newest = changed.newest.entry(id).or_insert((seq, now));
            if seq >= newest.0 {
                *newest = (seq, now);
            }
        }
        changed.newest.retain(|_, (_, at)| now.duration_since(*at) <= remembered.saturating_mul(2));
        Ok(())
    }

    /// How many checks wait for memory.
    pub(super) fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// Everything that is stored up to this number has been heard of.
    fn seen(&self) -> u64 {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).seq
    }

    fn still_holds(&self, id: &ApiKeyId, proof: Proof, now: u64) -> bool {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = changed.newest.get(id).is_some_and(|(seq, _)| *seq > proof.as_of);
        !newer && proof.until.is_none_or(|until| now < until)
    }
}

impl App {
    #[cfg(test)]
    pub(super) fn forget_proofs(&self) {
        self.secrets.proofs.forget_all();
    }

    /// Whether the presented secret half is right, by what is remembered or by the stored hashes.
    pub(super) async fn prove(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        text: &str,
        check: &SecretCheck,
    ) -> Result<(), VerifyError> {
        let (secrets, id, now) = (&self.secrets, check.id(), clock::now_seconds());
        let name = secrets.proofs.name(text);
        if let Some(proof) = secrets.proofs.get(&name).await {
            if secrets.still_holds(&id, proof, now) {
                self.metrics.secret_cache_hits.inc();
                return Ok(());
            }
            secrets.proofs.forget(&name).await;
        }
        let Some(peppers) = snapshot.peppers().cloned() else { return Err(self.could_not_tell("no_pepper")) };
        for _ in 0..TRIES {
            let digests = peppers.digests(check);
            match secrets.proofs.get_or(name, self.hash(check, Arc::clone(&peppers), digests)).await {
                Ok(proof) if secrets.still_holds(&id, proof, clock::now_seconds()) => return Ok(()),
                // What is stored changed while it was hashed.
                Ok(_) => secrets.proofs.forget(&name).await,
                Err(unproven) => {
                    return Err(match *unproven {
                        Unproven::Wrong => Rejection::SecretWrong.into(),
                        Unproven::Ended(rejection) => rejection.into(),
                        Unproven::CouldNotTell(why) => self.could_not_tell(why),
                    });
                }
            }
        }
        Err(self.could_not_tell("changed"))
    }

    pub(super) fn could_not_tell(&self, why: &'static str) -> VerifyError {
        self.metrics.secret_unchecked(why);
        VerifyError::SecretUnchecked
    }

    /// Compares with what is stored, in the memory that there is for it.
    async fn hash(
        self: &Arc<Self>,
        check: &SecretCheck,
        peppers: Arc<Peppers>,
        digests: Vec<SecretDigest>,
    ) -> Result<Proof, Unproven> {
        let id = check.id();
        let attempt = self.secrets.attempts.take(id, Instant::now()).ok_or(Unproven::CouldNotTell("too_many_wrong"))?;
        // Before the rows are read. The newest change may be of a hash that is not among them, as it has ended since.
        let seen = self.secrets.seen();
        let app = Arc::clone(self);
        let rows = blocking::run(move || app.store.secret_hashes(&id, clock::now())).await;
        let Ok(Ok(rows)) = rows else { return Err(Unproven::CouldNotTell("store")) };
        let stored = Stored::read(&id, rows, &peppers);
        let as_of = stored.newest().max(seen);
        let share = match stored.memory_kib() {
            0 => None,
            kib => {
                let holds = || check.holds(self.snapshot().verifier(), clock::now_seconds());
                Some(self.share_while(kib, holds).await?)
            }
        };
        let app = Arc::clone(self);
        let found = blocking::run(move || {
            let found = app.find(id, stored, (&peppers, &digests), share);
            // Here, where it happens also when the client has hung up.
            if matches!(found, Found::Wrong) {
                attempt.spend();
            }
            (found, peppers, digests)
        });
        let Ok((found, peppers, digests)) = found.await else { return Err(Unproven::CouldNotTell("failed")) };
        match found {
            Found::Right { row, rehash } => {
                if rehash {
                    tokio::spawn(Arc::clone(self).hash_again(id, row.clone(), peppers, digests));
                }
                let until = row.retires_at.and_then(|at| u64::try_from(at.as_second()).ok());
                Ok(Proof { as_of, until })
            }
            Found::Wrong => Err(Unproven::Wrong),
            Found::CouldNotTell(error) => {
                if let Some(kept_back) = self.secrets.broken_lines.allow(Instant::now()) {
                    tracing::error!(%id, error, kept_back, "a stored hash of a secret half cannot be used");
                }
                Err(Unproven::CouldNotTell("hash"))
            }
        }
    }

    /// Memory for a slow hash, for as long as the key holds: one that was ended meanwhile takes none.
    pub(super) async fn share_while(
        &self,
        kib: u32,
        holds: impl Fn() -> Result<(), Rejection>,
    ) -> Result<Share, Unproven> {
        let mut waiting = pin!(self.secrets.pool.share(kib));
        loop {
            let shared = tokio::time::timeout(LOOK, waiting.as_mut()).await;
            holds().map_err(Unproven::Ended)?;
            if let Ok(shared) = shared {
                return shared.map_err(|_| Unproven::CouldNotTell("busy"));
            }
        }
    }

    /// On a thread that may block. The share of the budget is given back when the work is done, and not before.
    fn find(
        &self,
        id: ApiKeyId,
        stored: Stored,
        (peppers, digests): (&Peppers, &[SecretDigest]),
        share: Option<Share>,
    ) -> Found {
        let (snapshot, active) = (self.snapshot(), peppers.active().version());
        let scheme = secret::scheme_of(&snapshot.config, id.realm());
        let label = HashLabel { scheme: if stored.slow() > 0 { "argon2id" } else { "hmac-sha256" } };
        self.metrics.secret_hashes.get_or_create(&label).inc_by(stored.slow().max(1) as u64);
        match &share {
            Some(share) => self.secrets.pool.work(share, |memory| stored.find(digests, memory, scheme, active)),
            None => stored.find(digests, &mut bulla::HashMemory::default(), scheme, active),
        }
    }

    /// Makes a hash anew under today's setting and pepper, beside the request that found it right, and within the bound.
    async fn hash_again(
        self: Arc<Self>,
        id: ApiKeyId,
        old: SecretRow,
        peppers: Arc<Peppers>,
        digests: Vec<SecretDigest>,
    ) {
        let scheme = secret::scheme_of(&self.snapshot().config, id.realm());
        let share = match scheme.memory_kib() {
            0 => None,
            // Where there is no room the next time does.
            kib => match self.secrets.pool.share(kib).await {
                Ok(share) => Some(share),
                Err(_) => return,
            },
        };
        let made = blocking::run(move || {
            let rehashed = secret::rehash(&*self.store, (id, &old), (&digests, &peppers), scheme, clock::now());
            match rehashed {
                Ok(true) => drop(self.metrics.secret_rehashed.inc()),
                Ok(false) => tracing::debug!(%id, "a hash changed while it was made anew"),
                Err(error) => tracing::warn!(%id, %error, "a hash could not be made anew; the old one goes on"),
            }
            drop(share);
        });
        drop(made.await);
    }
}
