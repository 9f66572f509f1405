//! Importing keys of other systems.

mod read_ahead;
mod still_ended;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::RandomState,
    io,
};

use bulla::{ApiKeyId, Realm, revocation::Change};
use jiff::Timestamp;
use rand::{
    TryRng,
    rngs::{SysError, SysRng},
};
use serde::Serialize;
use serde_json::json;

use self::{
    read_ahead::{Batch, each_batch},
    still_ended::{BY_RULE, Before},
};
use super::{
    ActionError, Actor,
    revoke::{RevokeContext, expiry_of},
};
use crate::{
    clock::{KeyTime, KeyTimeError},
    config::FleetConfig,
    imported::{Check, KeyLayout, Reader, Record, RowError, RowErrorKind, RowState, Set},
    store::{
        Elsewhere, Fingerprint, Imported, LedgerRow, NewImported, Restrictions, Store, StoreError, StoredSet,
        Transaction, UNDATED, transact,
    },
};

/// Rows sorted by id before they are written: neighbours in an index are written together.
const SORTED: usize = 200_000;
/// Rows written in one transaction, which blocks other writers for about a second. Each one writes most leaves of the
/// index of apps, so that small ones write them again and again.
const WRITTEN: usize = 50_000;

/// An import.
pub(crate) struct Import<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) fleet: &'a FleetConfig,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
    pub(crate) realm: Realm,
    pub(crate) layout: &'a KeyLayout,
    /// Does everything, and keeps nothing.
    pub(crate) dry_run: bool,
    /// Corrects what is on record where a row differs from it.
    pub(crate) replace: bool,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) realm: String,
    pub(crate) scheme: &'static str,
    pub(crate) dry_run: bool,
    pub(crate) rows: u64,
    pub(crate) imported: u64,
    /// On record already.
    pub(crate) unchanged: u64,
    /// On record already, and corrected.
    pub(crate) corrected: u64,
    /// Of the keys of this file those that the old system did not accept any more: revoked or suspended here, too.
    pub(crate) ended: u64,
    pub(crate) refused: u64,
    /// Corrected keys, by the field that was corrected.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) changed: BTreeMap<&'static str, u64>,
    /// Imported keys whose digest or public part another set of the realm has, too.
    pub(crate) in_other_sets: u64,
    /// Imported keys whose hash another realm has, too.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) in_other_realms: u64,
    /// Other sets of the realm that may have these keys, too, and whose hashes cannot be compared with theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) uncompared_sets: Vec<i64>,
    /// Refused rows, by the code of their error.
    pub(crate) reasons: BTreeMap<&'static str, u64>,
}

/// An import ended early. The imported rows stay; the same file continues from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("cannot go on reading or reporting: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the operating system's generator failed: {0}")]
    Random(SysError),
    /// A key that the old system revoked cannot be revoked here.
    #[error(transparent)]
    Revoke(#[from] Box<ActionError>),
    /// Which rows are past their expiry, and what is revoked since when, goes by the clock.
    #[error("this machine's clock is wrong, so that nothing is imported: {0}")]
    Clock(#[from] KeyTimeError),
}

/// Receives the progress of an import.
pub(crate) trait Progress {
    /// A row was refused.
    fn refused(&mut self, error: &RowError) -> io::Result<()>;
    /// So many bytes and rows were read.
    fn read(&mut self, bytes: u64, rows: u64);
}

/// A running import.
struct Run<'a> {
    import: &'a Import<'a>,
    /// The number of the keys' set.
    set: i64,
    id_key: [u8; 16],
    summary: Summary,
    /// In a dry run: the keys that would be on record by now.
    seen: HashMap<ApiKeyId, Fingerprint>,
    hasher: RandomState,
    /// Keys of rows that were read, by what their ids hold: one row of a file does not correct another one.
    had: HashSet<[u8; 12]>,
    elsewhere: Elsewhere,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Import<'_> {
    /// Imports every row without an error.
    pub(crate) fn run(&self, reader: &mut Reader<'_>, progress: &mut dyn Progress) -> Result<Summary, ImportError> {
        KeyTime::up(self.now)?;
        let others = self.store.imported_sets()?;
        let is_uncompared = |set: &StoredSet| set.realm == self.realm && self.layout.hides_keys_of(&set.layout);
        let summary = Summary {
            uncompared_sets: others.iter().filter(|set| is_uncompared(set)).map(|set| set.number).collect(),
            realm: self.realm.to_string(),
            scheme: self.layout.scheme.name(),
            dry_run: self.dry_run,
            ..Summary::default()
        };
        let (set, id_key) = self.set()?;
        let elsewhere = self.store.imported_elsewhere(self.realm, set.number)?;
        self.store.expect_many_rows()?;
        let mut run = Run {
            import: self,
            set: set.number,
            id_key,
            summary,
            seen: HashMap::new(),
            hasher: RandomState::new(),
            had: HashSet::new(),
            elsewhere,
        };
        let mut bytes = 0;
        each_batch(reader, &set, SORTED, |batch| {
            let before = std::mem::replace(&mut bytes, batch.bytes);
            run.take(batch, before, progress)
        })?;
        if !self.dry_run {
            let detail = serde_json::to_value(&run.summary).unwrap_or_default();
            self.record("keys.import", detail)?;
        }
        Ok(run.summary)
    }

    /// The set that the keys belong to. The audit has the beginning of an import before its first row.
    fn set(&self) -> Result<(Set, [u8; 16]), ImportError> {
        let mut id_key = [0; 16];
        SysRng.try_fill_bytes(&mut id_key).map_err(ImportError::Random)?;
        let stored = self.written(|transaction| Ok(transaction.imported_set(self.realm, self.layout, id_key)?))?;
        if !self.dry_run {
            self.record("keys.import_begin", json!({"rule": self.layout}))?;
        }
        let (number, realm, id_key) = (stored.number, stored.realm, stored.id_key);
        Ok((Set::new(number, realm, stored.layout, id_key, None), id_key))
    }

    fn record(&self, action: &str, detail: serde_json::Value) -> Result<(), StoreError> {
        let record = self.actor.record(self.now, action, Some(self.realm.to_string()), detail);
        transact(self.store, |transaction| transaction.append_audit(&record))
    }

    /// Runs `work` in one transaction, which a dry run aborts.
    fn written<T>(&self, work: impl FnOnce(&mut dyn Transaction) -> Result<T, ImportError>) -> Result<T, ImportError> {
        let mut done = None;
        let ended: Result<(), ImportError> = transact(self.store, |transaction| {
            done = Some(work(transaction)?);
            if self.dry_run { Err(StoreError::Aborted.into()) } else { Ok(()) }
        });
        match (ended, done) {
            (Ok(()), Some(done)) => Ok(done),
            (Err(ImportError::Store(StoreError::Aborted)), Some(done)) if self.dry_run => Ok(done),
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(StoreError::Aborted.into()),
        }
    }
}

impl Run<'_> {
    fn refuse(&mut self, error: &RowError, progress: &mut dyn Progress) -> Result<(), ImportError> {
        self.summary.refused += 1;
        *self.summary.reasons.entry(error.kind.code()).or_default() += 1;
        Ok(progress.refused(error)?)
    }

    /// Writes a batch, of which the first row begins behind so many bytes.
    fn take(&mut self, batch: Batch, before: u64, progress: &mut dyn Progress) -> Result<(), ImportError> {
        let Batch { rows, refused, bytes, read } = batch;
        for error in &refused {
            self.refuse(error, progress)?;
        }
        self.summary.rows = read;
        let (all, mut rows) = (rows.len().max(1) as u64, rows.into_iter());
        while rows.len() > 0 {
            let left = rows.len() as u64;
            progress.read(before + (bytes - before) * (all - left) / all, read - left);
            let new: Vec<_> = rows.by_ref().take(WRITTEN).map(|(id, record)| self.new_row(id, record)).collect();
            let outcomes: Vec<Outcome> = self.import.written(|transaction| {
                // A dry run undid the set, too.
                transaction.imported_set(self.import.realm, self.import.layout, self.id_key)?;
                new.iter().map(|one| self.import.put(transaction, one)).collect::<Result<_, ImportError>>()
            })?;
            for (new, mut outcome) in new.into_iter().zip(outcomes) {
                if self.import.dry_run {
                    outcome = self.seen_before(&new, outcome);
                }
                self.count(new, outcome, progress)?;
            }
        }
        progress.read(bytes, read);
        Ok(())
    }

    /// A dry run keeps nothing, so it remembers the rows that it would have written.
    fn seen_before(&mut self, new: &NewRow, outcome: Outcome) -> Outcome {
        let corrects = matches!(outcome, Outcome::Corrected(_));
        let writes = corrects || outcome == Outcome::New;
        if !writes && !new.again || new.again && corrects {
            return outcome;
        }
        let (key, fingerprint) = (&new.key, new.key.fingerprint(&self.hasher));
        match self.seen.get(&key.row.id) {
            Some(before) => Outcome::Known(before.compare(&fingerprint, key.dated)),
            None => {
                if writes {
                    self.seen.insert(key.row.id, fingerprint);
                }
                outcome
            }
        }
    }

    fn count(&mut self, new: NewRow, outcome: Outcome, progress: &mut dyn Progress) -> Result<(), ImportError> {
        let refused = match outcome {
            Outcome::New => {
                self.summary.imported += 1;
                self.summary.ended += u64::from(new.state != RowState::Active);
                let (in_set, in_realm) = self.is_elsewhere(&new.key);
                self.summary.in_other_sets += u64::from(in_set);
                self.summary.in_other_realms += u64::from(in_realm);
                return Ok(());
            }
            Outcome::Known(Imported::New | Imported::Same) => {
                self.summary.unchanged += 1;
                return Ok(());
            }
            Outcome::Corrected(fields) => {
                self.summary.corrected += 1;
                fields.into_iter().for_each(|field| *self.summary.changed.entry(field).or_default() += 1);
                self.summary.ended += u64::from(new.state != RowState::Active);
                return Ok(());
            }
            Outcome::Known(Imported::Other) => RowErrorKind::OtherHash,
            Outcome::Known(Imported::Differs(different)) => RowErrorKind::Differs(different.join(", ")),
        };
        self.refuse(&RowError { line: new.line, kind: refused }, progress)
    }

    /// Whether another set of the realm has a key that the same text may find, and whether another realm has this key.
    fn is_elsewhere(&self, new: &NewImported) -> (bool, bool) {
        let hash = match &new.check {
            Check::Fast { digest, .. } => digest,
            Check::Text(text) => text.as_bytes(),
        };
        let in_realm = &self.elsewhere.in_realm;
        let in_set = in_realm.contains(hash) || new.public.as_ref().is_some_and(|public| in_realm.contains(public));
        (in_set, self.elsewhere.is_in_others(hash))
    }

    fn new_row(&mut self, id: ApiKeyId, record: Record) -> NewRow {
        let again = self.import.replace && id.unsealed_name().is_some_and(|name| !self.had.insert(name));
        let row = LedgerRow {
            id,
            app_id: record.app_id,
            name: record.name,
            issued_at: record.issued_at.unwrap_or(UNDATED),
            expires_at: record.expires_at,
            scopes: record.claims.scopes().to_vec(),
            restrictions: Some(Restrictions::default()),
            meta: record.claims.meta().clone(),
            issued_by: self.import.actor.name.clone(),
            rerolled_from: None,
        };
        let (dated, public, check) = (record.issued_at.is_some(), record.public, record.check);
        let key = NewImported { set: self.set, row, dated, public, check };
        NewRow { line: record.line, state: record.state, again, key }
    }
}

/// A row that is being stored.
struct NewRow {
    line: u64,
    state: RowState,
    /// Whether an earlier row that is to correct the record has the same key.
    again: bool,
    key: NewImported,
}

/// What became of it.
#[derive(PartialEq)]
enum Outcome {
    New,
    Known(Imported),
    /// These fields.
    Corrected(Vec<&'static str>),
}

impl Import<'_> {
    fn put(&self, transaction: &mut dyn Transaction, new: &NewRow) -> Result<Outcome, ImportError> {
        let found = transaction.insert_imported(&new.key)?;
        if found == Imported::New {
            self.end(transaction, new)?;
            return Ok(Outcome::New);
        }
        let mut different = match &found {
            Imported::Differs(different) => different.clone(),
            Imported::Other => vec!["hash"],
            Imported::New | Imported::Same => Vec::new(),
        };
        let is_active = new.state != RowState::Active && self.is_active(transaction, new)?;
        if is_active {
            different.push(if new.state == RowState::Revoked { "state: revoked" } else { "state: disabled" });
        }
        // A later row of the file corrects nothing, and ends the key where it says so.
        if different.is_empty() || !self.replace || (new.again && !is_active) {
            let listed = if is_active && found != Imported::Other { Imported::Differs(different) } else { found };
            return Ok(Outcome::Known(listed));
        }
        let other = !new.again && different.iter().any(|one| !one.starts_with("state"));
        let id = new.key.row.id;
        let target = Some(id.to_string());
        let record = self.actor.record(self.now, "keys.import_replace", target, json!({"changed": different}));
        transaction.append_audit(&record)?;
        if other {
            let before = Before::of(transaction, &id)?;
            transaction.correct_imported(&new.key)?;
            let kept = before.keep(transaction, id, &self.context(Some(BY_RULE.to_owned())));
            kept.map_err(|error| ImportError::Revoke(Box::new(error)))?;
        }
        self.end(transaction, new)?;
        if !new.again {
            return Ok(Outcome::Corrected(different));
        }
        // Of such a row the state alone was taken over.
        let (states, rest): (Vec<_>, Vec<_>) = different.into_iter().partition(|one| one.starts_with("state"));
        Ok(match (rest.is_empty(), found) {
            (true, _) => Outcome::Corrected(states),
            (false, Imported::Other) => Outcome::Known(Imported::Other),
            (false, _) => Outcome::Known(Imported::Differs(rest)),
        })
    }

    /// Returns whether a key is neither revoked nor suspended here, as far as its row asks for that.
    fn is_active(&self, transaction: &dyn Transaction, new: &NewRow) -> Result<bool, StoreError> {
        let logged = transaction.logged(&new.key.row.id)?;
        let suspended = new.state == RowState::Disabled && logged.suspended_at.is_some();
        Ok(logged.revoked_at.is_none() && !suspended)
    }

    fn context(&self, reason: Option<String>) -> RevokeContext<'_> {
        RevokeContext { store: self.store, fleet: self.fleet, actor: self.actor, now: self.now, reason }
    }

    /// Revokes or suspends a key that the old system did not accept any more.
    fn end(&self, transaction: &mut dyn Transaction, new: &NewRow) -> Result<(), ImportError> {
        let context = self.context(Some("not accepted by the system that it was imported from".to_owned()));
        let id = new.key.row.id;
        match new.state {
            RowState::Active => Ok(()),
            RowState::Revoked => {
                let revoked = context.revoke_in(transaction, id, "api_key.revoke");
                revoked.map(drop).map_err(|error| ImportError::Revoke(Box::new(error)))
            }
            RowState::Disabled if self.is_active(transaction, new)? => {
                let change = Change::Suspend { id, expires_at: expiry_of(new.key.row.expires_at) };
                let suspended = context.append(transaction, change, None, id.to_string(), json!({}));
                suspended.map_err(|error| ImportError::Revoke(Box::new(error)))
            }
            RowState::Disabled => Ok(()),
        }
    }
}
