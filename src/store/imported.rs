//! Records of imported keys.

use bulla::Realm;
use serde::Serialize;

use super::LedgerRow;
use crate::imported::{Check, ImportedRow, KeyLayout};

/// A set of imported keys on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSet {
    pub(crate) number: i64,
    pub(crate) realm: Realm,
    pub(crate) layout: KeyLayout,
    pub(crate) id_key: [u8; 16],
}

/// A part of the imported keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ImportedPart {
    pub(crate) rows: Vec<ImportedRow>,
    /// Unreadable rows, for which no key is accepted.
    pub(crate) damaged: usize,
    /// The place of the last row of this part, if there is any.
    pub(crate) through: Option<i64>,
}

/// A key to be imported.
#[derive(Clone, Debug)]
pub(crate) struct NewImported {
    /// The number of its set.
    pub(crate) set: i64,
    pub(crate) row: LedgerRow,
    pub(crate) public: Option<Box<[u8]>>,
    pub(crate) check: Check,
}

/// The outcome for one key of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    New,
    /// It is on record already, with the same hash.
    Same,
    /// It is on record already, with another hash, which stays.
    Other,
}

/// Progress of one realm's migration to sealed keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Migration {
    pub(crate) realm: String,
    pub(crate) imported: u64,
    /// Neither revoked nor expired.
    pub(crate) active: u64,
    /// Presented at least once since they were imported.
    pub(crate) used: u64,
    /// A sealed key was issued for them.
    pub(crate) replaced: u64,
    /// The sealed key has been used: the imported one can be retired.
    pub(crate) taken_over: u64,
    /// Active and used, and no sealed key in use instead.
    pub(crate) still_in_use: u64,
}
