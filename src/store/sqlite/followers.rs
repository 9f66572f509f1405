//! The table of the fleet.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};

use super::columns::{readable_text, text};
use crate::store::{
    FollowerRow, LogPlace, Short, StoreError,
    rows::{Field, FollowerColumns, damaged},
};

/// The columns that `read` takes, in its order.
const COLUMNS: &str =
    "name, role, owner, address, version, formats, log_id, seq, this_update, keyring_serial, versions, realms,
     refused, last_error, started_at, last_contact, instance, doubled_at, reported_by";

/// Whether a row has not reached the place ?2 of the log ?1. Of two processes under one name nobody knows.
const SHORT: &str = "(log_id IS NOT ?1 OR seq < ?2 OR last_contact - doubled_at <= 60)";

/// Whether the API key of a member's last report is revoked at ?1, by its id or a rule.
const REVOKED: &str = "EXISTS (
    SELECT 1 FROM api_keys AS key WHERE key.api_key_id = followers.reported_by AND (
        key.revoked_at <= ?1
        OR EXISTS (SELECT 1 FROM revocations AS rule WHERE rule.app_id = key.app_id
                   AND (rule.realm IS NULL OR rule.realm = key.realm) AND rule.issued_before > key.issued_at)
        OR EXISTS (SELECT 1 FROM revocations AS rule WHERE rule.kind = 'revoke_realm' AND rule.realm = key.realm
                   AND rule.issued_before > key.issued_at)))";

/// The end of the revocation log.
pub(super) fn log_end(connection: &Connection) -> Result<LogPlace, StoreError> {
    let log_id = connection.prepare_cached("SELECT log_id FROM revocation_log")?.query_row([], |row| row.get(0))?;
    let mut query = connection.prepare_cached(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revocations'), 0),
                    coalesce((SELECT max(seq) FROM revocations), 0)),
                (SELECT recorded_at FROM revocations ORDER BY seq DESC LIMIT 1)",
    )?;
    let (seq, newest): (i64, Option<i64>) = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let newest_at = newest.and_then(|at| Timestamp::from_second(at).ok());
    Ok(LogPlace { log_id, seq: seq.unsigned_abs(), newest_at })
}

/// At most `limit` members behind a name.
pub(super) fn list(
    connection: &Connection,
    after: &str,
    limit: u32,
    heard_after: Timestamp,
) -> Result<Vec<FollowerRow>, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM followers WHERE name > ?1 AND last_contact > ?2 ORDER BY name"
    ))?;
    let mut rows = query.query(params![after, heard_after.as_second()])?;
    let mut all = Vec::new();
    while all.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        all.extend(read(row)?);
    }
    Ok(all)
}

/// Those that have not reached a place.
pub(super) fn short_of(
    connection: &Connection,
    log_id: &str,
    seq: u64,
    limit: u32,
    heard_after: Timestamp,
) -> Result<Short, StoreError> {
    let (seq, heard_after) = (number(seq), heard_after.as_second());
    let mut query = connection.prepare_cached(&format!(
        "SELECT count(*), coalesce(sum(role <> 'node'), 0), coalesce(sum{SHORT}, 0) FROM followers WHERE last_contact > ?3"
    ))?;
    let count = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let mut short = query.query_row(params![log_id, seq, heard_after], |row| {
        Ok(Short { registered: count(row, 0)?, followers: count(row, 1)?, missing: count(row, 2)?, rows: Vec::new() })
    })?;
    if short.missing > 0 {
        let mut query = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM followers WHERE last_contact > ?3 AND {SHORT} ORDER BY name LIMIT ?4"
        ))?;
        let mut rows = query.query(params![log_id, seq, heard_after, limit])?;
        while let Some(row) = rows.next()? {
            short.rows.extend(read(row)?);
        }
    }
    Ok(short)
}

/// The owners of those names that are registered.
pub(super) fn owners(
    connection: &Connection,
    names: &[String],
    heard_after: Timestamp,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = connection.prepare_cached("SELECT owner FROM followers WHERE name = ?1 AND last_contact > ?2")?;
    let mut owners = Vec::new();
    for name in names {
        // An owner that is no text is nobody who could report.
        let owner = query.query_row(params![name, heard_after.as_second()], |row| {
            Ok(readable_text(row, 0).unwrap_or_default().into_owned())
        });
        let owner: Option<String> = owner.optional()?;
        owners.extend(owner.map(|owner| (name.clone(), owner)));
    }
    Ok(owners)
}

/// How many this owner has registered.
pub(super) fn count_of(connection: &Connection, owner: &str, heard_after: Timestamp) -> Result<u64, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT count(*) FROM followers WHERE owner = ?1 AND last_contact > ?2")?;
    let count: i64 = query.query_row(params![owner, heard_after.as_second()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Notes what members reported.
pub(super) fn note(connection: &Connection, rows: &[FollowerRow], heard_after: Timestamp) -> Result<(), StoreError> {
    let mut note = connection.prepare_cached(&format!(
        "INSERT INTO followers ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 0, ?19)
         ON CONFLICT (name) DO UPDATE SET
             role = excluded.role, owner = excluded.owner, address = excluded.address, version = excluded.version,
             formats = excluded.formats, log_id = excluded.log_id,
             seq = CASE WHEN log_id IS excluded.log_id AND started_at = excluded.started_at AND instance = excluded.instance
                   THEN max(seq, excluded.seq) ELSE excluded.seq END,
             this_update = excluded.this_update, keyring_serial = excluded.keyring_serial, versions = excluded.versions,
             realms = excluded.realms, refused = excluded.refused, last_error = excluded.last_error,
             started_at = excluded.started_at, last_contact = excluded.last_contact, instance = excluded.instance,
             earlier = CASE WHEN instance IN ('', excluded.instance) THEN earlier
                       ELSE substr(instance || ' ' || earlier, 1, 256) END,
             doubled_at = CASE WHEN excluded.instance NOT IN ('', instance) AND instr(earlier, excluded.instance) > 0
                          THEN excluded.last_contact ELSE doubled_at END,
             reported_by = excluded.reported_by
         WHERE owner = excluded.owner OR excluded.owner = 'node' OR last_contact <= ?18"
    ))?;
    for row in rows {
        note.execute(params![
            row.name,
            row.role.name(),
            row.owner,
            row.address,
            row.version,
            list_of(&row.formats)?,
            row.log_id,
            number(row.seq),
            number(row.this_update),
            number(row.keyring_serial),
            list_of(&row.versions)?,
            list_of(&row.realms)?,
            number(row.refused),
            row.last_error,
            number(row.started_at),
            row.last_contact.as_second(),
            row.instance.as_deref().unwrap_or_default(),
            heard_after.as_second(),
            row.reported_by.as_deref().unwrap_or_default(),
        ])?;
    }
    Ok(())
}

/// The names of those that did not report that they read a format.
pub(super) fn not_reading(
    connection: &Connection,
    format: &str,
    limit: u32,
    heard_after: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT name FROM followers WHERE last_contact > ?1 AND instr(formats, ?2) = 0 ORDER BY name LIMIT ?3",
    )?;
    let names = query.query_map(params![heard_after.as_second(), format!("\"{format}\""), limit], name)?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Removes the row of a name. Returns whether there was one.
pub(super) fn forget(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM followers WHERE name = ?1")?.execute([name])? > 0)
}

/// Removes the row of a process of this owner, unless another one reports under its name.
pub(super) fn remove(connection: &Connection, name: &str, owner: &str, instance: &str) -> Result<(), StoreError> {
    let mut remove = connection.prepare_cached(
        "DELETE FROM followers WHERE name = ?1 AND owner = ?2 AND instance IN ('', ?3) AND last_contact - doubled_at > 60",
    )?;
    remove.execute([name, owner, instance])?;
    Ok(())
}

/// The names of those under which two processes report.
pub(super) fn doubled(connection: &Connection, limit: u32, heard_after: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT name FROM followers WHERE last_contact > ?1 AND last_contact - doubled_at <= 60 ORDER BY name LIMIT ?2",
    )?;
    let names = query.query_map(params![heard_after.as_second(), limit], name)?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Removes what an owner registered. How many they were.
pub(super) fn forget_of(connection: &Connection, owner: &str) -> Result<u64, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM followers WHERE owner = ?1")?.execute([owner])? as u64)
}

/// Returns whether anybody reported last with an API key that is revoked by now.
pub(super) fn has_revoked(connection: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    let mut query = connection.prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM followers WHERE {REVOKED})"))?;
    Ok(query.query_row([now.as_second()], |row| row.get(0))?)
}

/// Removes those. How many they were.
pub(super) fn drop_revoked(connection: &Connection, now: Timestamp) -> Result<u64, StoreError> {
    let mut delete = connection.prepare_cached(&format!("DELETE FROM followers WHERE {REVOKED}"))?;
    Ok(delete.execute([now.as_second()])? as u64)
}

/// Returns whether anybody is in the table that was not heard of for this long.
pub(super) fn has_silent(connection: &Connection, heard_after: Timestamp) -> Result<bool, StoreError> {
    let mut query = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM followers WHERE last_contact <= ?1)")?;
    Ok(query.query_row([heard_after.as_second()], |row| row.get(0))?)
}

/// Removes those.
pub(super) fn drop_silent(connection: &Connection, heard_after: Timestamp) -> Result<(), StoreError> {
    connection.execute("DELETE FROM followers WHERE last_contact <= ?1", [heard_after.as_second()])?;
    Ok(())
}

/// The name in the first column, as far as it is readable.
fn name(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok(readable_text(row, 0).unwrap_or_default().into_owned())
}

/// Reads a row; `None` where its name is no text, which no member can have.
fn read(row: &Row<'_>) -> Result<Option<FollowerRow>, StoreError> {
    let Some(name) = text(row, 0) else {
        tracing::error!("{}", damaged("the followers", name(row)?));
        return Ok(None);
    };
    let text = |column: usize| text(row, column);
    let maybe = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Null) => Field::None,
        _ => text(column).map_or(Field::Damaged, Field::Is),
    };
    let columns = FollowerColumns {
        name,
        role: text(1),
        owner: text(2),
        address: maybe(3),
        version: text(4),
        formats: text(5),
        log_id: maybe(6),
        seq: row.get(7)?,
        this_update: row.get(8)?,
        keyring_serial: row.get(9)?,
        versions: text(10),
        realms: text(11),
        refused: row.get(12)?,
        last_error: maybe(13),
        started_at: row.get(14)?,
        last_contact: row.get(15)?,
        instance: text(16),
        doubled_at: row.get(17)?,
        reported_by: text(18),
    };
    Ok(Some(columns.read()))
}

/// As a JSON array.
fn list_of<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| StoreError::Failed(error.to_string()))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
