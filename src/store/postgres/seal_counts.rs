//! The table of seal counts: how many API keys each realm has sealed under each key version.

use tokio_postgres::Row;

use super::{counts::count, session::Session};
use crate::store::{SealCount, StoreError, rows::damaged};

/// Counts the seal of the row that the expression `key` records, and returns the count. It is part of the statement
/// that records a key: one round trip does both.
pub(super) const COUNT_SEAL: &str =
    "INSERT INTO bulla.seal_counts AS counts (realm, version, count) SELECT realm, version, 1 FROM key
     ON CONFLICT (realm, version) DO UPDATE SET count = counts.count + 1 RETURNING count";

/// How many keys were sealed, for each realm and version.
pub(super) fn seal_counts(session: &Session) -> Result<Vec<SealCount>, StoreError> {
    let rows = session
        .query("SELECT realm, version, count FROM bulla.seal_counts ORDER BY version, realm COLLATE \"C\"", &[])?;
    let read = |row: &Row| {
        let (realm, version): (String, i64) = (row.get(0), row.get(1));
        match u32::try_from(version) {
            Ok(version) => Ok(SealCount { realm, version, count: count(row, 2) }),
            Err(_) => Err(damaged("the seal counts", format_args!("({realm}, {version})"))),
        }
    };
    rows.iter().map(read).collect()
}
