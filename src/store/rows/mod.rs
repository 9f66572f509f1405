//! Rows as every store has them, read into records. A row that bulla did not write, or that was changed, is told from a whole one
//! here, whatever the dialect.

mod imported;
mod ledger;
mod lost_revocations;
mod revocation;

pub(super) use self::{
    imported::{ImportedColumns, check_columns},
    ledger::LedgerColumns,
    lost_revocations::LostColumns,
    revocation::{Field, Read, RevocationColumns, change_columns},
};
