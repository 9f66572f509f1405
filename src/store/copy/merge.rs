//! Goes through the same table of two stores at once, in the order of its key.

use std::{cmp::Ordering, collections::VecDeque};

use super::{CopyError, RawRow, Source, Table, Target};
use crate::store::StoreError;

/// How the two differ in one row.
pub(super) enum Change {
    Same,
    /// The target lacks this row.
    Missing(RawRow),
    /// The target has another row with this key.
    Different(RawRow),
    /// The source has no row with this key.
    TooMuch(RawRow),
}

/// The rows of one side, a page at a time.
struct Side<'a> {
    store: &'a dyn Source,
    table: &'a Table,
    page: usize,
    rows: VecDeque<RawRow>,
    last: Option<RawRow>,
    ended: bool,
}

impl Side<'_> {
    fn fill(&mut self) -> Result<(), StoreError> {
        if !self.rows.is_empty() || self.ended {
            return Ok(());
        }
        let rows = self.store.page(self.table, self.last.as_deref(), self.page)?;
        self.ended = rows.len() < self.page;
        self.last = rows.last().map(|row| row[..self.table.key].to_vec()).or(self.last.take());
        self.rows = rows.into();
        Ok(())
    }
}

/// The two sides.
pub(super) struct Merge<'a> {
    source: Side<'a>,
    target: Side<'a>,
    passed_source: bool,
}

impl<'a> Merge<'a> {
    /// Begins with the first rows of a table.
    pub(super) fn new(source: &'a dyn Source, target: &'a dyn Target, table: &'a Table, page: usize) -> Self {
        let side = |store| Side { store, table, page, rows: VecDeque::new(), last: None, ended: false };
        Merge { source: side(source), target: side(target), passed_source: false }
    }

    /// Returns whether the last step took a row of the source.
    pub(super) fn passed_source(&self) -> bool {
        self.passed_source
    }

    /// The next row; `None` at the end of both.
    pub(super) fn next(&mut self) -> Result<Option<Change>, CopyError> {
        self.source.fill().map_err(CopyError::From)?;
        self.target.fill().map_err(CopyError::To)?;
        let key = self.source.table.key;
        let order = match (self.source.rows.front(), self.target.rows.front()) {
            (Some(ours), Some(theirs)) => ours[..key].cmp(&theirs[..key]),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => {
                self.passed_source = false;
                return Ok(None);
            }
        };
        self.passed_source = order != Ordering::Greater;
        let ours = if self.passed_source { self.source.rows.pop_front() } else { None };
        let theirs = if order == Ordering::Less { None } else { self.target.rows.pop_front() };
        Ok(match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours == theirs => Some(Change::Same),
            (Some(ours), Some(_)) => Some(Change::Different(ours)),
            (Some(ours), None) => Some(Change::Missing(ours)),
            (None, Some(mut theirs)) => {
                theirs.truncate(key);
                Some(Change::TooMuch(theirs))
            }
            (None, None) => None,
        })
    }
}
