//! Importing keys of other systems.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
};

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use rand::{
    TryRng,
    rngs::{SysError, SysRng},
};
use serde::Serialize;
use serde_json::json;

use super::Actor;
use crate::{
    imported::{Check, KeyLayout, Reader, Record, RowError, RowErrorKind, Set},
    key_time::{KeyTime, KeyTimeError},
    store::{Imported, LedgerRow, NewImported, Restrictions, Store, StoreError, transact},
};

/// Rows sorted by id before they are written: neighbours in an index are written together.
const SORTED: usize = 100_000;
/// Rows written in one transaction, which blocks other writers.
const WRITTEN: usize = 5_000;

/// An import.
pub(crate) struct Import<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
    pub(crate) realm: Realm,
    pub(crate) layout: &'a KeyLayout,
    /// Does everything, and keeps nothing.
    pub(crate) dry_run: bool,
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
    pub(crate) refused: u64,
    /// Imported keys whose digest or public part another set of the realm has, too.
    pub(crate) in_other_sets: u64,
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
    /// Rows without a time of issue get the present time.
    #[error("this machine's clock is wrong, and keys would be imported with a time of issue that no key can have: {0}")]
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
    set: Set,
    summary: Summary,
    /// In a dry run: the keys that would be on record by now.
    seen: HashMap<ApiKeyId, Check>,
    /// Digests and public parts of the realm's other sets.
    elsewhere: HashSet<Box<[u8]>>,
}

impl Import<'_> {
    /// Imports every row without an error.
    pub(crate) fn run(&self, reader: &mut Reader<'_>, progress: &mut dyn Progress) -> Result<Summary, ImportError> {
        KeyTime::up(self.now)?;
        let summary = Summary {
            realm: self.realm.to_string(),
            scheme: self.layout.scheme.name(),
            dry_run: self.dry_run,
            ..Summary::default()
        };
        let set = self.set()?;
        let elsewhere = self.store.imported_elsewhere(self.realm, set.number)?;
        let mut run = Run { import: self, set, summary, seen: HashMap::new(), elsewhere };
        let mut rows = Vec::new();
        loop {
            let next = reader.next()?;
            let ended = next.is_none();
            match next {
                Some(Ok(record)) => rows.push((run.set.id_of(record.found_by()), record)),
                Some(Err(error)) => run.refuse(&error, progress)?,
                None => {}
            }
            run.summary.rows += u64::from(!ended);
            if ended || rows.len() == SORTED {
                run.write(std::mem::take(&mut rows), progress)?;
            }
            if ended || run.summary.rows.is_multiple_of(1_000) {
                progress.read(reader.bytes(), run.summary.rows);
            }
            if ended {
                break;
            }
        }
        if !self.dry_run {
            let detail = serde_json::to_value(&run.summary).unwrap_or_default();
            self.record("keys.import", detail)?;
        }
        Ok(run.summary)
    }

    /// The set that the keys belong to. The audit has the beginning of an import before its first row.
    fn set(&self) -> Result<Set, ImportError> {
        let mut id_key = [0; 16];
        SysRng.try_fill_bytes(&mut id_key).map_err(ImportError::Random)?;
        let stored = self.written(|transaction| transaction.imported_set(self.realm, self.layout, id_key))?;
        if !self.dry_run {
            self.record("keys.import_begin", json!({"rule": self.layout}))?;
        }
        let (number, realm, id_key) = (stored.number, stored.realm, stored.id_key);
        Ok(Set { number, realm, layout: stored.layout, id_key, hmac_key: None })
    }

    fn record(&self, action: &str, detail: serde_json::Value) -> Result<(), StoreError> {
        let record = self.actor.record(self.now, action, Some(self.realm.to_string()), detail);
        transact(self.store, |transaction| transaction.append_audit(&record))
    }

    /// Runs `work` in one transaction, which a dry run aborts.
    fn written<T>(
        &self,
        work: impl FnOnce(&mut dyn crate::store::Transaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut done = None;
        let ended = transact(self.store, |transaction| {
            done = Some(work(transaction)?);
            if self.dry_run { Err(StoreError::Aborted) } else { Ok(()) }
        });
        match (ended, done) {
            (Ok(()), Some(done)) => Ok(done),
            (Err(StoreError::Aborted), Some(done)) if self.dry_run => Ok(done),
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(StoreError::Aborted),
        }
    }
}

impl Run<'_> {
    fn refuse(&mut self, error: &RowError, progress: &mut dyn Progress) -> Result<(), ImportError> {
        self.summary.refused += 1;
        *self.summary.reasons.entry(error.kind.code()).or_default() += 1;
        Ok(progress.refused(error)?)
    }

    fn write(&mut self, mut rows: Vec<(ApiKeyId, Record)>, progress: &mut dyn Progress) -> Result<(), ImportError> {
        // Of two rows for one key the first in the file counts: the sort is stable.
        rows.sort_by_key(|(id, _)| *id);
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let new: Vec<_> = rows.by_ref().take(WRITTEN).map(|(id, record)| self.new_imported(id, record)).collect();
            let outcomes: Vec<Imported> = self.import.written(|transaction| {
                // A dry run undid the set, too.
                transaction.imported_set(self.import.realm, self.import.layout, self.set.id_key)?;
                new.iter().map(|(_, one)| transaction.insert_imported(one)).collect()
            })?;
            for ((line, new), mut outcome) in new.into_iter().zip(outcomes) {
                if self.import.dry_run && outcome == Imported::New {
                    outcome = match self.seen.insert(new.row.id, new.check.clone()) {
                        None => Imported::New,
                        Some(before) if before == new.check => Imported::Same,
                        Some(_) => Imported::Other,
                    };
                }
                match outcome {
                    Imported::New => {
                        self.summary.imported += 1;
                        self.summary.in_other_sets += u64::from(self.is_elsewhere(&new));
                    }
                    Imported::Same => self.summary.unchanged += 1,
                    Imported::Other => self.refuse(&RowError { line, kind: RowErrorKind::OtherHash }, progress)?,
                }
            }
        }
        Ok(())
    }

    fn is_elsewhere(&self, new: &NewImported) -> bool {
        let hash = match &new.check {
            Check::Fast { digest, .. } => digest.as_slice(),
            Check::Slow(text) => text.as_bytes(),
        };
        self.elsewhere.contains(hash) || new.public.as_ref().is_some_and(|public| self.elsewhere.contains(public))
    }

    fn new_imported(&self, id: ApiKeyId, record: Record) -> (u64, NewImported) {
        let row = LedgerRow {
            id,
            app_id: record.app_id,
            name: record.name,
            issued_at: record.issued_at.unwrap_or(self.import.now),
            expires_at: record.expires_at,
            scopes: record.claims.scopes().to_vec(),
            restrictions: Some(Restrictions::default()),
            meta: record.claims.meta().clone(),
            issued_by: self.import.actor.name.clone(),
            rerolled_from: None,
        };
        (record.line, NewImported { set: self.set.number, row, public: record.public, check: record.check })
    }
}
