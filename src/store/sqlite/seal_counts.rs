//! The table of seal counts: how many API keys each realm has sealed under each key version.

use bulla::Realm;
use rusqlite::{Connection, params};

use super::columns::text;
use crate::store::{SealCounts, StoreError, seal_budget::check_seal_budget};

/// Counts a sealed key, and refuses it where that exceeds the budget. A count that is full stays so.
pub(super) fn count_seal(
    connection: &Connection,
    realm: Realm,
    version: u32,
    budget: Option<u64>,
) -> Result<(), StoreError> {
    let count: i64 = connection
        .prepare_cached(
            "INSERT INTO seal_counts (realm, version, count) VALUES (?1, ?2, 1)
             ON CONFLICT (realm, version) DO UPDATE SET count = min(count, 9223372036854775806) + 1 RETURNING count",
        )?
        .query_row(params![realm.as_str(), version], |counted| counted.get(0))?;
    check_seal_budget(realm, version, count, budget)
}

/// How many keys were sealed, for each realm and version.
pub(super) fn seal_counts(connection: &Connection) -> Result<SealCounts, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT realm, version, count FROM seal_counts ORDER BY version, realm")?;
    let mut rows = query.query([])?;
    let mut counts = SealCounts::default();
    while let Some(row) = rows.next()? {
        counts.add(text(row, 0), row.get(1)?, row.get(2)?);
    }
    Ok(counts)
}
