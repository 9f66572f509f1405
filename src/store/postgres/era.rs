//! Eras: one history of one database. A promotion, a restore to a point in time and a logical failover begin a new one,
//! which may lack the end of the one before. The first transaction that writes in it leaves a gap in all numbers, so
//! that none is given twice, and remembers where the log had ended, so that a place behind that is known to be lost.

use super::{params::params, session::Session, store_row::Numbers, transaction::Writing};
use crate::store::StoreError;

/// The era of now: the cluster, and its timeline.
macro_rules! now {
    () => {
        "(SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) FROM pg_control_system())"
    };
}
pub(super) use now;

/// Numbers go on with the next thousand million. The first era of a store has none before it.
const ENTER: &str = "UPDATE bulla.store SET era = $1,
        ends = CASE WHEN era IS NULL THEN ends ELSE ends || revocation_seq END,
        key_seq = CASE WHEN era IS NULL THEN key_seq ELSE (key_seq / 1000000000 + 1) * 1000000000 END,
        revocation_seq = CASE WHEN era IS NULL THEN revocation_seq ELSE (revocation_seq / 1000000000 + 1) * 1000000000 END,
        secret_seq = CASE WHEN era IS NULL THEN secret_seq ELSE (secret_seq / 1000000000 + 1) * 1000000000 END
    WHERE id = 1 RETURNING key_seq, revocation_seq, secret_seq";

/// Of a place in the log, `$1`, what this database had: the end of the era that it is of, where it lies behind that.
pub(super) const KEPT: &str = "coalesce((SELECT min(ended) FROM unnest(ends) AS ended
               WHERE ended < $1 AND ended / 1000000000 = $1 / 1000000000), $1)";

/// Enters an era, in a transaction that holds the lock; the latest numbers from then on.
pub(super) fn enter(session: &Session, era: &str) -> Result<Numbers, StoreError> {
    let row = session.only(ENTER, &params![era])?;
    Ok(Numbers { key: row.get(0), revocation: row.get(1), secret: row.get(2) })
}

/// Replaces the id of this log, unless that was done. Its numbers go on behind `place`.
pub(super) fn begin_new_log(writing: &Writing<'_>, log_id: &str, place: u64) -> Result<(), StoreError> {
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    writing.writes().execute(
        "UPDATE bulla.store SET log_id = replace(gen_random_uuid()::text, '-', ''), log_begun = next.seq, revocation_seq = next.seq,
                ends = CASE WHEN revocation_seq < $2 THEN ends || revocation_seq ELSE ends END
         FROM (SELECT CASE WHEN revocation_seq < $2 THEN ($2 / 1000000000 + 1) * 1000000000 ELSE revocation_seq END AS seq
               FROM bulla.store WHERE id = 1) AS next
         WHERE id = 1 AND log_id = $1",
        &params![log_id, place],
    )?;
    Ok(())
}
