//! Imported keys: issued by another system, with only their hashes known. Files of rows are read, presented keys are recognized
//! and checked as they were hashed. `docs/IMPORT.md` specifies every byte.

mod candidate;
mod encoding;
mod hmac_key;
mod in_memory;
mod key;
mod key_layout;
mod line_ends;
mod raw_row;
mod reader;
mod record;
mod row_error;
mod scheme;
mod set;

pub(crate) use self::{
    candidate::{Candidate, CheckError},
    encoding::SaltEncoding,
    hmac_key::{HmacKey, HmacKeyError},
    in_memory::ImportedKeys,
    key::Key,
    key_layout::{Hashed, KeyLayout, KeyLayoutError, PublicPart},
    reader::{Format, Reader},
    record::Record,
    row_error::{RowError, RowErrorKind},
    scheme::{Check, Scheme},
    set::{ImportedRow, Set},
};
