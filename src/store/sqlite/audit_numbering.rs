//! The numbers of SQLite's audit have no gap: each record takes the number behind the latest, within the transaction
//! that it is about, so that a rollback takes the number with it. PostgreSQL's counterpart is
//! `store/postgres/audit_numbering.rs`.
//!
//! The table enforces it against every writer: its triggers (`migrations/2.sql`) refuse a record that leaves a gap, a
//! changed one and a deleted one.

/// The next record's number, in SQL. One transaction writes at a time, so no other takes it.
pub(super) const NEXT: &str = "(SELECT coalesce(max(seq), 0) + 1 FROM audit)";
