//! Records of imported keys.

use std::{
    collections::{BTreeMap, HashSet},
    hash::BuildHasher,
};

use bulla::Realm;
use jiff::Timestamp;
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

/// How far the table of imported keys goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImportedEnd {
    /// The place of the last one in the ledger; 0 without one.
    pub(crate) place: i64,
    /// How often rows were changed or removed.
    pub(crate) changes: i64,
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
    /// Whether the row says when the key was issued.
    pub(crate) dated: bool,
    pub(crate) public: Option<Box<[u8]>>,
    pub(crate) check: Check,
}

/// What a dry run remembers of a row: a hash of each field, as it may have millions of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint {
    fields: [u64; 6],
    check: u64,
}

impl NewImported {
    /// Hashes of its fields.
    pub(crate) fn fingerprint(&self, hasher: &impl BuildHasher) -> Fingerprint {
        let row = &self.row;
        let (hash, salt) = super::rows::check_columns(&self.check);
        Fingerprint {
            fields: [
                hasher.hash_one(row.app_id),
                hasher.hash_one(&row.name),
                hasher.hash_one(row.issued_at.as_second()),
                hasher.hash_one(row.expires_at.map(Timestamp::as_second)),
                hasher.hash_one(&row.scopes),
                hasher.hash_one(&row.meta),
            ],
            check: hasher.hash_one((hash, salt)),
        }
    }
}

impl Fingerprint {
    /// Holds another row of the same key against it.
    pub(crate) fn compare(&self, other: &Fingerprint, dated: bool) -> Imported {
        if self.check != other.check {
            return Imported::Other;
        }
        let mut differ = [false; 6];
        differ
            .iter_mut()
            .zip(self.fields.iter().zip(&other.fields))
            .for_each(|(differ, (one, two))| *differ = one != two);
        differ[2] &= dated;
        named(different(differ))
    }
}

/// The names of the fields that differ.
fn different(fields: [bool; 6]) -> Vec<&'static str> {
    let names = ["app_id", "name", "issued_at", "expires_at", "scopes", "meta"];
    names.into_iter().zip(fields).filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// The outcome for one key of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    New,
    /// It is on record already, the same in all that the row says.
    Same,
    /// It is on record already, with another hash, which stays.
    Other,
    /// It is on record already, and these are different: fields of the row.
    Differs(Vec<&'static str>),
}

/// What the store has of an imported key that is imported again.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct OnRecord<'a> {
    pub(in crate::store) app_id: &'a str,
    pub(in crate::store) name: Option<&'a str>,
    pub(in crate::store) issued_at: i64,
    pub(in crate::store) expires_at: Option<i64>,
    pub(in crate::store) scopes: &'a str,
    pub(in crate::store) meta: &'a str,
    pub(in crate::store) hash: &'a [u8],
    pub(in crate::store) salt: Option<&'a [u8]>,
}

impl OnRecord<'_> {
    /// Holds a row against it.
    pub(in crate::store) fn compare(&self, new: &NewImported) -> Imported {
        let (hash, salt) = super::rows::check_columns(&new.check);
        if (self.hash, self.salt) != (hash, salt) {
            return Imported::Other;
        }
        let row = &new.row;
        let meta = serde_json::from_str::<BTreeMap<String, String>>(self.meta);
        let different = different([
            self.app_id != row.app_id.to_string(),
            self.name != row.name.as_deref(),
            new.dated && self.issued_at != row.issued_at.as_second(),
            self.expires_at != row.expires_at.map(Timestamp::as_second),
            self.scopes != row.scopes.join(" "),
            !meta.is_ok_and(|meta| meta == row.meta),
        ]);
        named(different)
    }
}

fn named(different: Vec<&'static str>) -> Imported {
    if different.is_empty() { Imported::Same } else { Imported::Differs(different) }
}

/// Imported keys that are not in a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// Hashes and public parts of the realm's other sets.
    pub(crate) in_realm: HashSet<Box<[u8]>>,
    /// The first eight bytes of the hashes of other realms, which are only told of. Keys of different systems may have
    /// the same public part.
    in_others: HashSet<u64>,
}

impl Elsewhere {
    pub(in crate::store) fn add(&mut self, hash: Option<&[u8]>, public: Option<&[u8]>, is_of_realm: bool) {
        if is_of_realm {
            self.in_realm.extend([hash, public].into_iter().flatten().map(Box::from));
        } else {
            self.in_others.extend(hash.map(beginning));
        }
    }

    /// Returns whether another realm has a key with this hash.
    pub(crate) fn is_in_others(&self, hash: &[u8]) -> bool {
        self.in_others.contains(&beginning(hash))
    }
}

fn beginning(hash: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

/// A set, and what became of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCount {
    pub(crate) set: StoredSet,
    pub(crate) keys: u64,
    /// Presented at least once since they were imported.
    pub(crate) used: u64,
    /// A sealed key was issued for them.
    pub(crate) replaced: u64,
}

/// A set of which keys were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemovedSet {
    pub(crate) removed: u64,
    /// Keys that are revoked or suspended, by their ids or by a rule. They stay on record, so that another import, with
    /// another expiry or for another app, finds them ended.
    pub(crate) kept: u64,
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
