//! The table of seal counts: how many API keys each realm has sealed under each key version.

use super::session::Session;
use crate::store::{SealCounts, StoreError};

/// Counts the seal of the row that the expression `key` records, and returns the count. It is part of the statement
/// that records a key: one round trip does both. A count that is full stays so.
pub(super) const COUNT_SEAL: &str =
    "INSERT INTO bulla.seal_counts AS counts (realm, version, count) SELECT realm, version, 1 FROM key
     ON CONFLICT (realm, version) DO UPDATE SET count = least(counts.count, 9223372036854775806) + 1 RETURNING count";

/// How many keys were sealed, for each realm and version.
pub(super) fn seal_counts(session: &Session) -> Result<SealCounts, StoreError> {
    let rows = session
        .query("SELECT realm, version, count FROM bulla.seal_counts ORDER BY version, realm COLLATE \"C\"", &[])?;
    let mut counts = SealCounts::default();
    rows.iter().for_each(|row| counts.add(Some(row.get(0)), row.get(1), row.get(2)));
    Ok(counts)
}
