//! Imported keys: followed in the store, all of them at the start and later what another process imported; and judged.

use std::{sync::Arc, time::Instant};

use axum::http::{HeaderMap, HeaderName};
use bulla::{ApiKey, ApiKeyId, Realm, Rejection, VerifyError, layer::Credential};
use zeroize::Zeroizing;

use super::{
    App, blocking,
    secrets::{Proof, Unproven},
    snapshot::Snapshot,
};
use crate::{
    action::{Actor, issue::Issuing, replace::replace},
    api::{issue::IssuedApiKey, verdict::Wanted},
    clock,
    config::Config,
    deployment::DeploymentError,
    imported::{Candidate, CheckError, HmacKey, ImportedKeys, Key, Set},
    store::Store,
    telemetry::limit::LineLimit,
};

/// Rows that are read at a time.
const CHUNK: u32 = 10_000;

/// The least share of the memory for slow hashes that one takes, in KiB: a share stands for a core's time, too, of which
/// bcrypt takes much, with next to no memory.
const LEAST_SHARE: u32 = 32 * 1024;

/// Reads what the store has more than `known`.
pub(crate) fn read_on(known: &ImportedKeys, store: &dyn Store, config: &Config) -> Result<(), DeploymentError> {
    let end = store.imported_end()?;
    if end < known.place() {
        // Another store in this one's place, as a rule a backup.
        tracing::warn!(read = known.place(), end, "the imported keys were replaced: they are read anew");
        known.restart();
    }
    while known.place() < end {
        let part = store.imported_after(known.place(), CHUNK)?;
        let Some(through) = part.through else { return Ok(()) };
        let rows = part.rows;
        if rows.iter().any(|row| !known.has_set(row.set)) {
            for set in store.imported_sets()?.into_iter().filter(|set| !known.has_set(set.number)) {
                let hmac_key = HmacKey::of(&set.layout, config)?;
                let (number, realm, layout, id_key) = (set.number, set.realm, set.layout, set.id_key);
                known.add_set(Set { number, realm, layout, id_key, hmac_key });
            }
        }
        known.add(rows);
        known.pass(through, part.damaged);
    }
    Ok(())
}

/// Under what a verdict is remembered: right for one key is not right for another, and texts of which the hash sees the same
/// are one.
fn named(verdict: &str, candidate: &Candidate) -> Zeroizing<Vec<u8>> {
    let name = format!("{verdict} {} ", candidate.key().id);
    Zeroizing::new([name.as_bytes(), candidate.counting()].concat())
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

    /// What of the imported keys is rejected for what stands in the store, and holds nothing else up.
    pub(super) fn look_at_unusable(&self) -> Result<(), String> {
        let unusable = self.imported.unusable();
        self.metrics.damaged_rows("imported_keys", unusable);
        match unusable {
            0 => Ok(()),
            _ => Err(format!(
                "imported keys that are rejected for what stands in their rows: {unusable}; the log names them"
            )),
        }
    }

    /// Judges a text that may be an imported key, of each set that it may be one of; `None` where it is none. A rejection
    /// in one set beats an acceptance in another of the realm: the same key may have been imported under two rules.
    pub(super) async fn judge_imported(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        text: &str,
        wanted: &Wanted,
    ) -> Option<Result<Arc<Key>, VerifyError>> {
        if self.imported.len() == 0 || text.parse::<ApiKey>().is_ok() {
            return None;
        }
        let (mut judged, mut accepted, mut ended) = (None, None::<Arc<Key>>, Vec::new());
        for candidate in self.imported.recognize(text) {
            let held = holds(snapshot, candidate.key(), wanted);
            if let Err(rejection @ (Rejection::Revoked | Rejection::Expired)) = held {
                ended.push((candidate.clone(), rejection));
            }
            if accepted.is_some() {
                continue;
            }
            match self.judge_candidate(snapshot, candidate, wanted).await {
                Ok(key) => accepted = Some(key),
                // What could not be judged may be the right one.
                Err(_) if matches!(judged, Some(Err(VerifyError::SecretUnchecked | VerifyError::Stale))) => {}
                Err(error) => judged = Some(Err(error)),
            }
        }
        let Some(key) = accepted else { return judged };
        for (candidate, rejection) in ended.iter().filter(|(one, _)| one.key().id.realm() == key.id.realm()) {
            match self.is_key(candidate).await {
                Ok(false) => {}
                Ok(true) => return Some(Err((*rejection).into())),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(key))
    }

    /// The keys on record that the text is, in whatever set, revoked and suspended ones included: for the one who wants to
    /// end it.
    pub(super) async fn imported_keys_of(self: &Arc<Self>, text: &str) -> Result<Vec<ApiKeyId>, VerifyError> {
        if self.imported.len() == 0 || text.parse::<ApiKey>().is_ok() {
            return Ok(Vec::new());
        }
        let (mut right, mut unchecked, now) = (Vec::new(), None, clock::now_seconds());
        for candidate in self.imported.recognize(text) {
            if candidate.key().has_expired(now) {
                continue;
            }
            match self.is_key(&candidate).await {
                Ok(true) => right.push(candidate.key().id),
                Ok(false) => {}
                Err(error) => unchecked = Some(error),
            }
        }
        match unchecked {
            Some(error) if right.is_empty() => Err(error),
            _ => Ok(right),
        }
    }

    /// Whether the text is this key, whatever became of it. What is found wrong is remembered, too: a client that presents a good
    /// key again and again uses up no attempts at another one that has the same public part.
    async fn is_key(self: &Arc<Self>, candidate: &Candidate) -> Result<bool, VerifyError> {
        if !candidate.is_slow() {
            return self.checked(candidate, candidate.matches());
        }
        let proofs = &self.secrets.proofs;
        let not = proofs.name(&*named("not", candidate));
        if let Some(proof) = proofs.get(&not).await {
            proofs.renew(not, proof).await;
            return Ok(false);
        }
        match self.prove_imported(candidate.clone()).await {
            Ok(()) => Ok(true),
            Err(VerifyError::Rejected(Rejection::SecretWrong)) => {
                proofs.renew(not, Proof::FOR_GOOD).await;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// In the order of sealed keys: realm, time, revocation, hash, and the scope last.
    async fn judge_candidate(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        candidate: Candidate,
        wanted: &Wanted,
    ) -> Result<Arc<Key>, VerifyError> {
        let key = Arc::clone(candidate.key());
        holds(snapshot, &key, wanted)?;
        let slow = candidate.is_slow();
        if !slow && !self.checked(&candidate, candidate.matches())? {
            return Err(Rejection::SecretWrong.into());
        }
        if !self.is_ready() {
            return Err(VerifyError::Stale);
        }
        if slow {
            self.prove_imported(candidate).await?;
            // That may have taken its time.
            holds(&self.snapshot(), &key, wanted)?;
        }
        key.grants(&wanted.scopes)?;
        Ok(key)
    }

    /// Whether a slow hash is that of the text, by what is remembered or by the hash.
    async fn prove_imported(self: &Arc<Self>, candidate: Candidate) -> Result<(), VerifyError> {
        let secrets = &self.secrets;
        let name = secrets.proofs.name(&*named("is", &candidate));
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
                Unproven::Ended(rejection) => rejection.into(),
                Unproven::CouldNotTell(why) => self.could_not_tell(why),
            }),
        }
    }

    async fn hash_imported(self: &Arc<Self>, candidate: Candidate) -> Result<Proof, Unproven> {
        let id = candidate.key().id;
        let attempt = self.secrets.attempts.take(id, Instant::now());
        let attempt = attempt.ok_or(Unproven::CouldNotTell("too_many_wrong"))?;
        let kib = candidate.memory_kib().max(LEAST_SHARE);
        let key = Arc::clone(candidate.key());
        let holds = || key.holds(&[id.realm()], self.snapshot().verifier().revocations(), clock::now_seconds());
        // Of one that was ended before, it is asked whether the text is that key: another may have the same public part.
        let ended_before = holds().is_err();
        let share = self.share_while(kib, || if ended_before { Ok(()) } else { holds() }).await?;
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
                peppers: snapshot.peppers().map(Arc::as_ref),
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

fn holds(snapshot: &Snapshot, key: &Key, wanted: &Wanted) -> Result<(), Rejection> {
    let accepting =
        |realm: &Realm| snapshot.config.realms.get(realm.as_str()).is_some_and(|policy| policy.accepts_imported());
    let realms: Vec<Realm> = wanted.realms.iter().copied().filter(accepting).collect();
    key.holds(&realms, snapshot.verifier().revocations(), clock::now_seconds())
}
