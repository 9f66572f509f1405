//! A copy of a store in another one, row by row. It can be interrupted and goes on; until it is whole and verified
//! nobody else works on it. Before the copy is opened, the source is marked as moved, and nobody works on that one any
//! more: at no time can two stores acknowledge a revocation.

mod merge;
mod tables;

use jiff::{SignedDuration, Timestamp};

use self::merge::{Change, Merge};
pub(super) use self::tables::{Kind, RawRow, TABLES, Table, Value};
use super::{AuditRecord, FollowerRow, Role, Store, StoreError, moved::Moved, transact};
use crate::clock;

/// Rows that are read or written at a time.
const PAGE: usize = 1_000;
/// A node that was heard of within this time works on the store: each writes every 20 s that it is there.
const HEARD: SignedDuration = SignedDuration::from_secs(60);

/// The part of a store that is in no row of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(super) log_id: String,
    /// The latest numbers of keys, revocations and hashes of secret halves.
    pub(super) key: i64,
    pub(super) revocation: i64,
    pub(super) secret: i64,
    pub(super) sweep_clock: i64,
}

/// A store whose rows can be read as they are.
pub(crate) trait Source {
    /// What is in no row.
    fn head(&self) -> Result<Head, StoreError>;

    /// How many rows a table has.
    fn rows(&self, table: &Table) -> Result<u64, StoreError>;

    /// At most `limit` rows behind the one with this key, in the order of keys.
    fn page(&self, table: &Table, behind: Option<&[Value]>, limit: usize) -> Result<Vec<RawRow>, StoreError>;

    /// Where this store moved to, if it did.
    fn moved(&self) -> Result<Option<Moved>, StoreError>;

    /// Marks it as moved, unless it is: from then on nobody works on it.
    fn mark_moved(&self, moved: &Moved) -> Result<(), StoreError>;

    /// Removes that mark.
    fn unmark_moved(&self) -> Result<(), StoreError>;
}

/// A store that may become a copy.
pub(crate) trait Target: Source {
    /// Where a copy of the store with this head stands here.
    fn state(&self, head: &Head) -> Result<Stand, StoreError>;

    /// Keeps everybody else off, and makes this the copy of the store with this head.
    fn begin(&self, head: &Head) -> Result<(), StoreError>;

    /// Writes rows, also over those with their keys.
    fn put(&self, table: &Table, rows: &[RawRow]) -> Result<(), StoreError>;

    /// Removes the rows with these keys.
    fn remove(&self, table: &Table, keys: &[RawRow]) -> Result<(), StoreError>;

    /// Opens it to everybody: it is whole.
    fn finish(&self, head: &Head) -> Result<(), StoreError>;

    /// What a store that moved here is marked with.
    fn moved_here(&self, at: Timestamp) -> Moved;
}

/// Where a copy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Nobody used this store.
    New,
    /// A copy of this source was begun.
    Begun,
    /// It is a copy of this source, and may be in use.
    Finished,
    /// It holds something else.
    Other,
}

/// Why a copy is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("the target holds another store: name an empty database; nothing there was changed")]
    Other,
    #[error(
        "the target was a whole copy of this store, and differs from it now in {0}: one of the two was in use since. Nothing was \
         changed; to begin anew, drop the target's schema `bulla`"
    )]
    InUse(String),
    #[error(
        "the store moved to this database at {at}, and is in use here: the two differ in {what}. Nothing was changed, and nothing \
         is left to copy"
    )]
    InUseHere { at: Timestamp, what: String },
    #[error(
        "the source moved to {to} at {at} already: copy that one. Only if it is abandoned, `bulla store unmark` takes the source into \
         use again; then it can be copied"
    )]
    Moved { to: String, at: Timestamp },
    #[error(
        "the source cannot be written, and a store that moved is marked, so that nobody works on it any more: make it writable, or \
         copy its file to where you may write ({0})"
    )]
    Unmarkable(StoreError),
    #[error(
        "the source is being written ({0} changed meanwhile): stop every bulla on it, and run this again; it goes on where it is"
    )]
    Changed(String),
    #[error(
        "the node {0} works on the source, and what it acknowledges would be lost: stop every bulla on it, and run this again. One that \
         was killed counts for a minute"
    )]
    Served(String),
    #[error(
        "the target has a record of the audit that the source has not ({0}): the source was another one when this copy began. No record \
         of an audit is replaced: drop the target's schema `bulla`, and copy again"
    )]
    OtherAudit(String),
    #[error("a copy is made into PostgreSQL alone: copy a file of SQLite by `.backup`")]
    NoTarget,
    #[error("from: {0}")]
    From(StoreError),
    #[error("to: {0}")]
    To(StoreError),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Rows of the source, all of which the target has.
    pub(crate) rows: u64,
    /// Those that this run wrote or removed.
    pub(crate) changed: u64,
}

/// Copies `from` to `to`, compares every row, and marks `from` as moved. `progress` gets the rows that are done, and how
/// many there are to do.
pub(crate) fn copy(from: &dyn Store, to: &dyn Store, progress: &mut dyn FnMut(u64, u64)) -> Result<Copied, CopyError> {
    let target = to.as_target().ok_or(CopyError::NoTarget)?;
    let source = from.as_source();
    not_served(from)?;
    let head = source.head().map_err(CopyError::From)?;
    let stand = target.state(&head).map_err(CopyError::To)?;
    if stand == Stand::Other {
        return Err(CopyError::Other);
    }
    let here = target.moved_here(clock::now());
    let before = source.moved().map_err(CopyError::From)?;
    match &before {
        // A copy that was begun here earlier is no copy of what the store has become elsewhere.
        Some(Moved { to, mark, at }) if *mark != here.mark || stand == Stand::New => {
            return Err(CopyError::Moved { to: to.clone(), at: *at });
        }
        Some(_) => {}
        None => may_be_marked(from)?,
    }
    match stand {
        Stand::New => target.begin(&head).map_err(CopyError::To)?,
        Stand::Begun | Stand::Finished | Stand::Other => {}
    }
    let counts = counts(source)?;
    let rows: u64 = counts.iter().sum();
    // Each row is looked at twice: to write it, and to see that it is there.
    let (mut done, mut changed) = (0, 0);
    if stand == Stand::Begun {
        for table in &TABLES {
            changed += clear(source, target, table)?;
        }
    }
    if stand != Stand::Finished {
        for table in &TABLES {
            changed += write(source, target, table, &mut || {
                done += 1;
                progress(done, rows * 2);
            })?;
        }
    }
    done = if stand == Stand::Finished { 0 } else { done };
    let total = if stand == Stand::Finished { rows } else { rows * 2 };
    for table in &TABLES {
        let different = compare(source, target, table, &mut || {
            done += 1;
            progress(done, total);
        })?;
        match (different, &before) {
            (Some(what), Some(moved)) if stand == Stand::Finished => {
                return Err(CopyError::InUseHere { at: moved.at, what });
            }
            (Some(what), None) if stand == Stand::Finished => return Err(CopyError::InUse(what)),
            (Some(what), _) => return Err(CopyError::Changed(what)),
            (None, _) => {}
        }
    }
    // What was written before the mark is seen behind it, and nothing is written after it.
    if before.is_none() {
        source.mark_moved(&here).map_err(CopyError::From)?;
    }
    if let Err(error) = unchanged(from, &head, &counts) {
        if before.is_none() {
            source.unmark_moved().map_err(CopyError::From)?;
        }
        return Err(error);
    }
    if stand != Stand::Finished {
        target.finish(&head).map_err(CopyError::To)?;
    }
    Ok(Copied { rows, changed })
}

/// Takes a store into use again that moved, and notes it in the audit.
pub(crate) fn unmark(store: &dyn Store, record: &AuditRecord) -> Result<(), StoreError> {
    store.as_source().unmark_moved()?;
    transact(store, |transaction| transaction.append_audit(record))
}

/// Fails where the store cannot be written: tries it in a transaction, and aborts that.
fn may_be_marked(from: &dyn Store) -> Result<(), CopyError> {
    let trial = AuditRecord {
        at: clock::now(),
        actor: "service".to_owned(),
        address: None,
        action: "store.copy".to_owned(),
        target: None,
        detail: serde_json::json!({}),
    };
    let tried = from.transaction(&mut |transaction| {
        transaction.append_audit(&trial)?;
        Err(StoreError::Aborted)
    });
    match tried {
        Ok(()) | Err(StoreError::Aborted) => Ok(()),
        Err(error) => Err(CopyError::Unmarkable(error)),
    }
}

/// Fails where the store was written since it had this head and these numbers of rows, or a node works on it.
fn unchanged(from: &dyn Store, head: &Head, counts: &[u64]) -> Result<(), CopyError> {
    let source = from.as_source();
    if source.head().map_err(CopyError::From)? != *head {
        return Err(CopyError::Changed("a number".to_owned()));
    }
    // A table may have been written after it was compared: whatever an administrator did is in the audit at least.
    if let Some((table, _)) =
        TABLES.iter().zip(self::counts(source)?.iter().zip(counts)).find(|(_, (now, then))| now != then)
    {
        return Err(CopyError::Changed(format!("the number of rows of {}", table.name)));
    }
    not_served(from)
}

/// Fails where a node works on the store.
fn not_served(from: &dyn Store) -> Result<(), CopyError> {
    let (now, mut node) = (clock::now(), None);
    let heard_after = now.checked_sub(HEARD).unwrap_or(now);
    let look = &mut |row: FollowerRow| {
        if row.role == Role::Node {
            node.get_or_insert(row.name);
        }
    };
    from.each_follower(heard_after, look).map_err(CopyError::From)?;
    node.map_or(Ok(()), |name| Err(CopyError::Served(name)))
}

/// How many rows each table has.
fn counts(source: &dyn Source) -> Result<Vec<u64>, CopyError> {
    TABLES.iter().map(|table| source.rows(table).map_err(CopyError::From)).collect()
}

/// Removes what an interrupted copy left behind and the source does not have now; how many. Keys of the ledger that
/// changed go as well: they may have changed places, and an id stands in one place alone.
fn clear(source: &dyn Source, target: &dyn Target, table: &Table) -> Result<u64, CopyError> {
    let (mut remove, mut removed) = (Vec::new(), 0);
    let mut merge = Merge::new(source, target, table, PAGE);
    loop {
        let change = merge.next()?;
        let ended = change.is_none();
        let (key, is_too_much) = match change {
            Some(Change::TooMuch(key)) => (Some(key), true),
            Some(Change::Different(row)) if ["api_keys", "audit"].contains(&table.name) => {
                (Some(row[..table.key].to_vec()), false)
            }
            _ => (None, false),
        };
        if let Some(key) = key.as_ref().filter(|_| table.name == "audit") {
            return Err(CopyError::OtherAudit(shown(key)));
        }
        removed += u64::from(is_too_much);
        remove.extend(key);
        if remove.len() >= PAGE || (ended && !remove.is_empty()) {
            target.remove(table, &remove).map_err(CopyError::To)?;
            remove.clear();
        }
        if ended {
            return Ok(removed);
        }
    }
}

/// Writes the rows of the source that the target has not, or has otherwise; how many.
fn write(source: &dyn Source, target: &dyn Target, table: &Table, each: &mut dyn FnMut()) -> Result<u64, CopyError> {
    let (mut put, mut changed) = (Vec::new(), 0);
    let mut merge = Merge::new(source, target, table, PAGE);
    loop {
        let change = merge.next()?;
        let ended = change.is_none();
        if let Some(Change::Missing(row) | Change::Different(row)) = change {
            put.push(row);
        }
        if merge.passed_source() {
            each();
        }
        if put.len() >= PAGE || (ended && !put.is_empty()) {
            target.put(table, &put).map_err(CopyError::To)?;
            changed += put.len() as u64;
            put.clear();
        }
        if ended {
            return Ok(changed);
        }
    }
}

/// The first difference between the two, if there is any.
fn compare(
    source: &dyn Source,
    target: &dyn Target,
    table: &Table,
    each: &mut dyn FnMut(),
) -> Result<Option<String>, CopyError> {
    let mut merge = Merge::new(source, target, table, PAGE);
    while let Some(change) = merge.next()? {
        if merge.passed_source() {
            each();
        }
        let key = match change {
            Change::Same => continue,
            Change::TooMuch(key) => key,
            Change::Missing(row) | Change::Different(row) => row[..table.key].to_vec(),
        };
        return Ok(Some(format!("a row of {}, {}", table.name, shown(&key))));
    }
    Ok(None)
}

/// A key, as an error names it.
pub(super) fn shown(key: &[Value]) -> String {
    let one = |value: &Value| match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => crate::input::text::shown(text),
        Value::Null | Value::Bytes(_) => "…".to_owned(),
    };
    key.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
