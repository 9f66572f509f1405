//! Keys that were issued elsewhere, and of which only hashes are known: read from files, recognized when one is presented,
//! and checked as they were hashed. `docs/IMPORT.md` says how, to the byte.

mod candidate;
mod encoding;
mod hmac_key;
mod key;
mod known;
mod line;
mod line_ends;
mod reader;
mod record;
mod refusal;
mod rule;
mod scheme;
mod set;

pub(crate) use self::{
    candidate::{Candidate, CheckError},
    encoding::SaltEncoding,
    hmac_key::{HmacKey, HmacKeyError},
    key::Key,
    known::Known,
    reader::{Format, Reader},
    record::Record,
    refusal::{Reason, Refusal},
    rule::{Hashed, PublicPart, Rule, RuleError},
    scheme::{Check, Scheme},
    set::{ImportedRow, Set},
};
