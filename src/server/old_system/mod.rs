//! Keys that nobody imported, of a system that is asked about each of them once: an unknown text of its shape is sent
//! to the old system's own check, and what it accepts is an imported key from then on.
//!
//! All of it is bounded: by the shape of a key, by questions in a second and at a time, and by a memory of what was no
//! key.

mod answer;
mod ask;
mod bound;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bulla::{ApiKey, Realm, claims::Claims};
use jiff::Timestamp;
use moka::future::Cache;
use rand::{TryRng, rngs::SysRng};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use self::{answer::OldKey, bound::Bound};
use super::{blocking, revocations::RevocationState};
use crate::{
    action::{Actor, revoke::AHEAD},
    clock::{self, KeyTime},
    config::{Config, OldSystemConfig},
    imported::{Check, ImportedKeys, KeyLayout, Scheme, Set},
    store::{LedgerRow, NewImported, Restrictions, Store, StoreError, UNDATED, transact},
    telemetry::{metrics::Metrics, rate_limit::LineLimit},
    verification::{ImportedKeysError, Learned, OldSystem, read_imported_keys},
};

/// Texts that are remembered to be no keys.
const MAX_REMEMBERED: u64 = 100_000;

/// Whether an answer that a text is no key may be one of a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Use,
    /// For those who say "it is no key" to somebody who ends it: the old system may have issued it since.
    Skip,
}

/// The old systems of all realms.
pub(super) struct OldSystems {
    store: Arc<dyn Store>,
    revocations: Arc<RevocationState>,
    imported: Arc<ImportedKeys>,
    metrics: Arc<Metrics>,
    /// Texts that were no keys, by a hash that is keyed for this process.
    unknown: Cache<[u8; 32], Instant>,
    hash_key: Zeroizing<[u8; 32]>,
    bounds: Mutex<HashMap<Realm, Bound>>,
}

impl OldSystems {
    pub(super) fn new(
        (store, revocations): (Arc<dyn Store>, Arc<RevocationState>),
        imported: Arc<ImportedKeys>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let mut hash_key = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(hash_key.as_mut_slice()).map_err(|error| StoreError::Failed(error.to_string()))?;
        let unknown = Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(Duration::from_secs(3600)).build();
        Ok(OldSystems { store, revocations, imported, metrics, unknown, hash_key, bounds: Mutex::default() })
    }

    /// Asks one about a text that nobody imported.
    pub(super) async fn ask(self: &Arc<Self>, config: &Config, old: &OldSystem, text: &str, memory: Memory) -> Learned {
        let (realm, old) = (old.realm(), old.config());
        let key = self.key(realm, text);
        match self.unknown.get(&key).await {
            Some(at) if memory == Memory::Use && at.elapsed() < old.negative_ttl.0 => return Learned::Unknown,
            Some(_) => self.unknown.invalidate(&key).await,
            None => {}
        }
        let (this, config, old, text) =
            (Arc::clone(self), config.clone(), old.clone(), Zeroizing::new(text.to_owned()));
        // A question goes on when the client that caused it goes, and counts until it is answered.
        let asked = tokio::spawn(async move {
            // Requests about the same text meanwhile wait for this answer, and get it.
            match this.unknown.try_get_with(key, this.ask_once(&config, realm, &old, &text)).await {
                Ok(_) => Learned::Unknown,
                Err(learned) => *learned,
            }
        });
        asked.await.unwrap_or(Learned::CouldNotTell)
    }

    /// Asks now; when that was, if the text is not a key of the old system.
    async fn ask_once(
        &self,
        config: &Config,
        realm: Realm,
        old: &OldSystemConfig,
        text: &str,
    ) -> Result<Instant, Learned> {
        // It may have become one since the request looked.
        if !self.imported.recognize(text).is_empty() {
            return Err(Learned::Known);
        }
        let now = Instant::now();
        let Some(asking) = self.begin(realm, old, now) else {
            self.metrics.old_system("refused");
            return Err(Learned::CouldNotTell);
        };
        let (config, old, text) = (config.clone(), old.clone(), Zeroizing::new(text.to_owned()));
        let (store, imported) = (Arc::clone(&self.store), Arc::clone(&self.imported));
        let revocations = Arc::clone(&self.revocations);
        let asked = blocking::run(move || {
            let found = ask::ask(&old, &config.folder, &text)?;
            let Some(found) = found else { return Ok(false) };
            record(&*store, realm, &old, &text, found).map_err(|error| error.to_string())?;
            match read_imported_keys(&imported, &*store, &config, &|| revocations.read()) {
                // What was learned needs no secret, and has been read.
                Ok(()) | Err(ImportedKeysError::OldSecret(_)) => Ok::<bool, String>(true),
                Err(ImportedKeysError::Store(error)) => Err(error.to_string()),
            }
        });
        let asked = asked.await;
        drop(asking);
        match asked {
            Ok(Ok(true)) => {
                self.metrics.old_system("accepted");
                Err(Learned::Known)
            }
            Ok(Ok(false)) => {
                self.metrics.old_system("unknown");
                Ok(now)
            }
            Ok(Err(error)) => {
                self.metrics.old_system("failed");
                static LINES: LineLimit = LineLimit::new();
                if let Some(kept_back) = LINES.allow(Instant::now()) {
                    tracing::warn!(%realm, %error, kept_back, "old system could not be asked about a key");
                }
                Err(Learned::CouldNotTell)
            }
            Err(_) => Err(Learned::CouldNotTell),
        }
    }

    fn key(&self, realm: Realm, text: &str) -> [u8; 32] {
        let hash = Sha256::new().chain_update(*self.hash_key).chain_update(realm.as_str()).chain_update([0]);
        hash.chain_update(text).finalize().into()
    }

    /// Takes one question, if the realm has any left.
    fn begin(&self, realm: Realm, old: &OldSystemConfig, now: Instant) -> Option<Asking<'_>> {
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        bounds.entry(realm).or_insert_with(|| Bound::new(old, now)).take(old, now).then(|| Asking { of: self, realm })
    }
}

/// A running question.
struct Asking<'a> {
    of: &'a OldSystems,
    realm: Realm,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut bounds = self.of.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = bounds.get_mut(&self.realm) {
            bound.end();
        }
    }
}

/// Asks the old systems of all realms about a text that is not on record, once and without bounds: for an administrator
/// at this machine who ends a key. Returns whether it is on record now; an error says that it may be a key.
pub(crate) fn learn_now(store: &dyn Store, config: &Config, text: &str) -> Result<bool, String> {
    let mut failed = None;
    if ApiKey::is_within(text) {
        return Ok(false);
    }
    for old in OldSystem::all(config).iter().filter(|old| old.config().may_have(text)) {
        let (realm, old) = (old.realm(), old.config());
        let asked = ask::ask(old, &config.folder, text).and_then(|found| {
            let Some(found) = found else { return Ok(false) };
            record(store, realm, old, text, found).map_err(|error| error.to_string()).map(|()| true)
        });
        match asked {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => {
                failed = Some(format!(
                    "the old system of the realm `{realm}` could not be asked whether this is a key of its own \
                     ({error}): nothing is revoked. Try again, or end the key there"
                ));
            }
        }
    }
    failed.map_or(Ok(false), Err)
}

/// Puts a key that the old system accepts on record, as if it had been imported.
fn record(store: &dyn Store, realm: Realm, old: &OldSystemConfig, text: &str, found: OldKey) -> Result<(), StoreError> {
    let layout = KeyLayout { prefix: old.prefix.clone(), ..KeyLayout::new(Scheme::Sha256) };
    let mut id_key = [0; 16];
    SysRng.try_fill_bytes(&mut id_key).map_err(|error| StoreError::Failed(error.to_string()))?;
    let now = clock::now();
    KeyTime::up(now).map_err(|error| StoreError::Failed(format!("this machine's clock is wrong: {error}")))?;
    let claims = Claims::new().with_scopes(found.scopes.clone());
    claims.to_cbor().map_err(|error| StoreError::Failed(format!("its scopes: {error}")))?;
    let check = Check::Fast { digest: Sha256::digest(text).as_slice().into(), salt: [].into() };
    transact(store, |transaction| {
        let stored = transaction.imported_set(realm, &layout, id_key)?;
        let set = Set::new(stored.number, realm, stored.layout, stored.id_key, None);
        let actor = Actor::service();
        let row = LedgerRow {
            id: set.id_of(None, &check),
            app_id: found.app_id,
            name: found
                .name
                .clone()
                .filter(|name| crate::input::text::check_for_record(name).is_ok() && name.chars().count() <= 200),
            issued_at: issued_at(found.issued_at, now),
            expires_at: found.expires_at,
            scopes: found.scopes.clone(),
            restrictions: Some(Restrictions::default()),
            meta: Default::default(),
            issued_by: actor.name.clone(),
            rerolled_from: None,
        };
        let id = row.id.to_string();
        let new = NewImported { set: stored.number, row, dated: false, public: None, check: check.clone() };
        if transaction.insert_imported(&new)? == crate::store::Imported::New {
            let detail = json!({"set": stored.number, "app_id": found.app_id.to_string()});
            transaction.append_audit(&actor.record(now, "keys.import_asked", Some(id), detail))?;
        }
        Ok(())
    })
}

/// When the old system issued a key, by its own clock, which may be a little ahead. A time that lies further ahead is
/// none.
fn issued_at(told: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let latest = now.checked_add(AHEAD).unwrap_or(now);
    told.filter(|at| *at <= latest).map_or(UNDATED, |at| at.min(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_date_is_older_than_every_rule() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let now = at(1_800_000_000);
        for (told, taken) in [
            (None, UNDATED),
            (Some(at(0)), at(0)),
            (Some(at(1_700_000_000)), at(1_700_000_000)),
            (Some(now), now),
            (Some(at(1_800_000_300)), now),
            (Some(at(1_800_000_301)), UNDATED),
            (Some(at(i64::from(u32::MAX))), UNDATED),
        ] {
            assert_eq!(issued_at(told, now), taken, "{told:?}");
        }
    }
}
