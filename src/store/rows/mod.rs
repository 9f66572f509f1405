//! Rows as every store has them, read into records. A row that bulla did not write, or that was changed, is
//! distinguished from a whole one here, whatever the dialect.

mod follower;
mod idempotency;
mod imported;
mod ledger;
mod lost_revocations;
mod revocation;

use std::fmt::Display;

pub(super) use self::{
    follower::FollowerColumns,
    idempotency::remembered_answer,
    imported::{ImportedColumns, check_columns},
    ledger::LedgerColumns,
    lost_revocations::LostColumns,
    revocation::{Field, Read, RevocationColumns, change_columns},
};
use super::StoreError;

/// The error of a row that cannot be read; `row` is its number or its key.
pub(super) fn damaged(table: &'static str, row: impl Display) -> StoreError {
    StoreError::Damaged(table, row.to_string())
}
