//! The numbers of PostgreSQL's audit have no gap: records take the numbers behind the latest, at the end of the
//! transaction that they are about and under the lock that it holds to its commit. A rollback takes the numbers with
//! it. SQLite's counterpart is `store/sqlite/audit_numbering.rs`.
//!
//! The table enforces it against every writer: its triggers (`migrations/1.sql`) refuse a record that leaves a gap, a
//! changed one and a deleted one.

/// Appends records under the next numbers.
pub(super) const APPEND: &str = "INSERT INTO bulla.audit (seq, at, actor, address, action, target, detail)
    SELECT latest.seq + new.place, new.at, new.actor, new.address, new.action, new.target, new.detail
    FROM (SELECT coalesce(max(seq), 0) AS seq FROM bulla.audit) AS latest,
         unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY AS new (at, actor, address, action, target, detail, place)
    ORDER BY new.place";
