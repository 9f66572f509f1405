//! Imported keys: issued by another system, with only their hashes known. Files of rows are read, presented keys are
//! recognized and checked as they were hashed. `docs/IMPORT.md` specifies every byte.

mod candidate;
mod columns;
mod digest;
mod encoding;
mod fields;
mod in_memory;
mod key;
mod key_layout;
mod line_ends;
mod old_secret;
mod packed;
mod prehash;
mod raw_row;
mod read_options;
mod reader;
mod record;
mod row_error;
mod row_parser;
mod row_state;
mod row_time;
mod scheme;
mod set;
mod shared_claims;
mod slow_text;
mod split;
mod system;
mod table;
mod trial;

pub(crate) use self::{
    candidate::Candidate,
    columns::Columns,
    encoding::SaltEncoding,
    in_memory::ImportedKeys,
    key::Key,
    key_layout::{Hashed, KeyLayout, KeyLayoutError, PublicPart, Written},
    old_secret::{Derived, OldSecret, OldSecretError},
    prehash::Before,
    read_options::{Apps, Reading, ScopesForm, app_of},
    reader::{Format, Reader, UnknownColumn},
    record::Record,
    row_error::{RowError, RowErrorKind},
    row_state::RowState,
    row_time::Zone,
    scheme::{Check, Cost, Scheme},
    set::{CheckError, ImportedRow, Set},
    slow_text::SlowText,
    system::{SYSTEMS, System, Times},
    table::Table,
    trial::{Trial, Tried},
};
