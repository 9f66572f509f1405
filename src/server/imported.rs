//! Imported keys: followed in the store, all of them at the start and later what another process imported; and judged.

use std::{sync::Arc, time::Instant};

use axum::http::{HeaderMap, HeaderName};
use bulla::{ApiKey, Realm, Rejection, VerifyError, layer::Credential};
use zeroize::Zeroizing;

use super::{
    App, blocking,
    secrets::{Proof, Unproven},
};
use crate::{
    action::{
        Actor,
        issue::{IssuedApiKey, Issuing},
        replace::replace,
    },
    clock,
    config::Config,
    deployment::DeploymentError,
    imported::{Candidate, CheckError, HmacKey, Key, Known, Set},
    store::Store,
    telemetry::limit::LineLimit,
    view::verdict::Wanted,
};

/// What becomes of an imported key that is on the list of revocations.
#[derive(Clone, Copy, PartialEq)]
enum Revoked {
    Rejected,
    Accepted,
}

/// Rows that are read at a time.
const CHUNK: u32 = 10_000;

/// The least share of the memory for slow hashes that one takes, in KiB: a share stands for a core's time, too, of which
/// bcrypt takes much, with next to no memory.
const LEAST_SHARE: u32 = 32 * 1024;

/// Reads what the store has more than `known`.
pub(crate) fn read_on(known: &Known, store: &dyn Store, config: &Config) -> Result<(), DeploymentError> {
    let end = store.imported_end()?;
    if end < known.place() {
        // Another store in this one's place, as a rule a backup.
        tracing::warn!(read = known.place(), end, "the imported keys were replaced: they are read anew");
        known.restart();
    }
    while known.place() < end {
        let rows = store.imported_after(known.place(), CHUNK)?;
        if rows.is_empty() {
            return Ok(());
        }
        if rows.iter().any(|row| !known.has_set(row.set)) {
            for set in store.imported_sets()?.into_iter().filter(|set| !known.has_set(set.number)) {
                let hmac_key = HmacKey::of(&set.rule, config)?;
                let (number, realm, rule, id_key) = (set.number, set.realm, set.rule, set.id_key);
                known.add_set(Set { number, realm, rule, id_key, hmac_key });
            }
        }
        known.add(rows);
    }
    Ok(())
}

impl App {
    /// The one credential of a request. In Basic it is the half that looks like an API key of bulla's or an imported one.
    pub(super) fn credential<'h>(&self, headers: &'h HeaderMap, only: Option<&HeaderName>) -> Credential<'h> {
        Credential::read_where(headers, only, |text| {
            text.parse::<ApiKey>().is_ok() || (self.imported.len() > 0 && !self.imported.recognize(text).is_empty())
        })
    }

    /// Reads what was imported since the last look.
    pub(super) fn follow_imported(&self) -> Result<(), DeploymentError> {
        let before = self.imported.len();
        read_on(&self.imported, &*self.store, &self.snapshot().config)?;
        let imported = self.imported.len();
        if imported != before {
            tracing::info!(imported, "imported keys loaded");
        }
        Ok(())
    }

    /// Judges a text that may be an imported key, of each set that it may be one of; `None` where it is none.
    pub(super) async fn judge_imported(
        self: &Arc<Self>,
        text: &str,
        wanted: &Wanted,
    ) -> Option<Result<Arc<Key>, VerifyError>> {
        self.find_imported(text, wanted, Revoked::Rejected).await
    }

    /// The imported key that this text is, be it revoked, suspended, or not; `None` where it is none.
    pub(super) async fn genuine_imported(
        self: &Arc<Self>,
        text: &str,
        wanted: &Wanted,
    ) -> Option<Result<Arc<Key>, VerifyError>> {
        self.find_imported(text, wanted, Revoked::Accepted).await
    }

    async fn find_imported(
        self: &Arc<Self>,
        text: &str,
        wanted: &Wanted,
        revoked: Revoked,
    ) -> Option<Result<Arc<Key>, VerifyError>> {
        if self.imported.len() == 0 || text.parse::<ApiKey>().is_ok() {
            return None;
        }
        let mut judged = None;
        for candidate in self.imported.recognize(text) {
            let verdict = self.judge_candidate(text, candidate, wanted, revoked).await;
            if verdict.is_ok() {
                return Some(verdict);
            }
            // What could not be judged may be the right one.
            if !matches!(judged, Some(Err(VerifyError::SecretUnchecked))) {
                judged = Some(verdict);
            }
        }
        judged
    }

    /// In the order of sealed keys: realm, time, revocation, hash, and the scope last.
    async fn judge_candidate(
        self: &Arc<Self>,
        text: &str,
        candidate: Candidate,
        wanted: &Wanted,
        revoked: Revoked,
    ) -> Result<Arc<Key>, VerifyError> {
        let key = Arc::clone(candidate.key());
        self.holds(&key, wanted, revoked)?;
        let slow = candidate.is_slow();
        if !slow && !self.checked(&candidate, candidate.matches())? {
            return Err(Rejection::SecretWrong.into());
        }
        if !self.is_ready() {
            return Err(self.could_not_tell("stale"));
        }
        if slow {
            self.prove_imported(text, candidate).await?;
            // That may have taken its time.
            self.holds(&key, wanted, revoked)?;
        }
        key.grants(&wanted.scopes)?;
        Ok(key)
    }

    fn holds(&self, key: &Key, wanted: &Wanted, revoked: Revoked) -> Result<(), Rejection> {
        let snapshot = self.snapshot();
        let accepting =
            |realm: &Realm| snapshot.config.realms.get(realm.as_str()).is_some_and(|policy| policy.accepts_imported());
        let realms: Vec<Realm> = wanted.realms.iter().copied().filter(accepting).collect();
        match key.holds(&realms, self.verifier().revocations(), clock::now_seconds()) {
            Err(Rejection::Revoked) if revoked == Revoked::Accepted => Ok(()),
            held => held,
        }
    }

    /// Whether a slow hash is that of the text, by what is remembered or by the hash.
    async fn prove_imported(self: &Arc<Self>, text: &str, candidate: Candidate) -> Result<(), VerifyError> {
        let secrets = &self.secrets;
        // Right for one key is not right for another.
        let name = secrets.proofs.name(&Zeroizing::new(format!("{} {text}", candidate.key().id)));
        if let Some(proof) = secrets.proofs.get(&name).await {
            self.metrics.secret_cache_hits.inc();
            // What is presented again and again stays remembered, and good, whoever else tries meanwhile.
            secrets.proofs.renew(name, proof).await;
            return Ok(());
        }
        match secrets.proofs.get_or(name, self.hash_imported(candidate)).await {
            Ok(_) => Ok(()),
            Err(unproven) => Err(match *unproven {
                Unproven::Wrong => Rejection::SecretWrong.into(),
                Unproven::CouldNotTell(why) => self.could_not_tell(why),
            }),
        }
    }

    async fn hash_imported(self: &Arc<Self>, candidate: Candidate) -> Result<Proof, Unproven> {
        let id = candidate.key().id;
        let attempt = self.secrets.attempts.take(id, Instant::now());
        let attempt = attempt.ok_or(Unproven::CouldNotTell("too_many_wrong"))?;
        let kib = candidate.memory_kib().max(LEAST_SHARE);
        let share = self.secrets.pool.share(kib).await.map_err(|_| Unproven::CouldNotTell("busy"))?;
        let app = Arc::clone(self);
        let checked = blocking::run(move || {
            app.metrics.imported_slow_checks.inc();
            let checked = app.checked(&candidate, candidate.matches());
            drop(share);
            match checked {
                Ok(true) => Ok(Proof::FOR_GOOD),
                Ok(false) => {
                    attempt.spend();
                    Err(Unproven::Wrong)
                }
                Err(_) => Err(Unproven::CouldNotTell("hash")),
            }
        });
        checked.await.unwrap_or(Err(Unproven::CouldNotTell("failed")))
    }

    fn checked(&self, candidate: &Candidate, checked: Result<bool, CheckError>) -> Result<bool, VerifyError> {
        checked.map_err(|error| {
            static LINES: LineLimit = LineLimit::new();
            if let Some(kept_back) = LINES.allow(Instant::now()) {
                tracing::error!(id = %candidate.key().id, %error, kept_back, "an imported key could not be judged");
            }
            VerifyError::SecretUnchecked
        })
    }
    /// A sealed key for an imported one that was just accepted, where its realm hands out such and none was before. That it
    /// cannot be issued spoils no verification.
    pub(super) async fn replace_imported(self: &Arc<Self>, key: Arc<Key>) -> Option<IssuedApiKey> {
        let policy = self.snapshot().config.realms.get(key.id.realm().as_str()).is_some_and(|one| one.replace_imported);
        if !policy || key.is_replaced() {
            return None;
        }
        let (app, id) = (Arc::clone(self), key.id);
        let replaced = blocking::run(move || {
            let (snapshot, actor) = (app.snapshot(), Actor::service());
            let issuing = Issuing {
                issuer: &snapshot.issuer,
                store: &*app.store,
                config: &snapshot.config,
                peppers: snapshot.peppers.as_deref(),
                actor: &actor,
                now: clock::now(),
            };
            replace(id, &issuing)
        });
        match replaced.await {
            Ok(Ok(issued)) => {
                key.note_replaced();
                issued
            }
            Ok(Err(error)) => {
                if let Some(kept_back) = self.replacement_lines.allow(Instant::now()) {
                    tracing::warn!(%id, %error, kept_back, "no replacement could be issued for an imported key");
                }
                None
            }
            Err(_) => None,
        }
    }
}
