//! The table of the fleet. Nodes write it without the lock: a report has no number.

use std::collections::HashSet;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    counts::count,
    params::{Param, param, params},
    pool::Lane,
    session::Session,
};
use crate::store::{FollowerRow, FollowerStore, LogPlace, Short, StoreError, rows::FollowerColumns};

/// The columns that `read` takes, in its order.
const COLUMNS: &str =
    "name, role, owner, address, version, formats, log_id, seq, this_update, keyring_serial, versions, realms,
     refused, last_error, started_at, last_contact, instance, doubled_at, reported_by";

/// Whether a row has not reached the place $2 of the log $1. Of two processes under one name nobody knows.
const SHORT: &str = "(log_id IS DISTINCT FROM $1 OR seq < $2 OR last_contact::numeric - doubled_at <= 60)";

/// Whether the API key of a member's last report is revoked at $1, by its id or a rule.
const REVOKED: &str = "EXISTS (
    SELECT 1 FROM bulla.api_keys AS key WHERE key.api_key_id = followers.reported_by AND (
        key.revoked_at <= $1
        OR EXISTS (SELECT 1 FROM bulla.revocations AS rule WHERE rule.app_id = key.app_id
                   AND (rule.realm IS NULL OR rule.realm = key.realm) AND rule.issued_before > key.issued_at)
        OR EXISTS (SELECT 1 FROM bulla.revocations AS rule WHERE rule.kind = 'revoke_realm' AND rule.realm = key.realm
                   AND rule.issued_before > key.issued_at)))";

impl FollowerStore for PostgresStore {
    fn log_end(&self) -> Result<LogPlace, StoreError> {
        self.read(Lane::Log, |session| {
            let row = session.only(
                "SELECT log_id, greatest(revocation_seq, (SELECT max(seq) FROM bulla.revocations)),
                        (SELECT recorded_at FROM bulla.revocations ORDER BY seq DESC LIMIT 1), mark, needs, pg_is_in_recovery()
                 FROM bulla.store WHERE id = 1",
                &[],
            )?;
            self.mark.compare(session, row.get(3), row.get(4), row.get(5))?;
            let newest_at = row.get::<_, Option<i64>>(2).and_then(|at| Timestamp::from_second(at).ok());
            Ok(LogPlace { log_id: row.get(0), seq: count(&row, 1), newest_at })
        })
    }

    fn followers(&self, after: &str, limit: u32, heard_after: Timestamp) -> Result<Vec<FollowerRow>, StoreError> {
        self.read(Lane::Read, |session| {
            let rows = session.query(
                &format!(
                    "SELECT {COLUMNS} FROM bulla.followers WHERE name > $1 AND last_contact > $2 ORDER BY name LIMIT $3"
                ),
                &params![after, heard_after.as_second(), i64::from(limit)],
            )?;
            Ok(rows.iter().map(read).collect())
        })
    }

    fn followers_short_of(
        &self,
        log_id: &str,
        seq: u64,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Short, StoreError> {
        self.read(Lane::Read, |session| short_of(session, log_id, seq, limit, heard_after))
    }

    fn follower_owners(&self, names: &[String], heard_after: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.read(Lane::Read, |session| {
            let rows = session.query(
                "SELECT name, owner FROM bulla.followers WHERE name = ANY ($1) AND last_contact > $2 ORDER BY name",
                &params![names, heard_after.as_second()],
            )?;
            Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
        })
    }

    fn followers_of(&self, owner: &str, heard_after: Timestamp) -> Result<u64, StoreError> {
        self.read(Lane::Read, |session| {
            let row = session.only(
                "SELECT count(*) FROM bulla.followers WHERE owner = $1 AND last_contact > $2",
                &params![owner, heard_after.as_second()],
            )?;
            Ok(count(&row, 0))
        })
    }

    fn note_followers(&self, rows: &[FollowerRow], heard_after: Timestamp) -> Result<(), StoreError> {
        self.pool.run(Lane::Read, |session| self.mark.check(session), |session, ()| note(session, rows, heard_after))
    }

    fn remove_follower(&self, name: &str, owner: &str, instance: &str) -> Result<(), StoreError> {
        self.read(Lane::Read, |session| {
            let delete = "DELETE FROM bulla.followers
                          WHERE name = $1 AND owner = $2 AND instance IN ('', $3)
                                AND last_contact::numeric - doubled_at > 60";
            session.execute(delete, &params![name, owner, instance]).map(drop)
        })
    }

    fn doubled_followers(&self, limit: u32, heard_after: Timestamp) -> Result<Vec<String>, StoreError> {
        self.read(Lane::Read, |session| {
            let rows = session.query(
                "SELECT name FROM bulla.followers WHERE last_contact > $1 AND last_contact::numeric - doubled_at <= 60
                 ORDER BY name LIMIT $2",
                &params![heard_after.as_second(), i64::from(limit)],
            )?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }

    fn drop_followers_of_revoked(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.read(Lane::Read, |session| {
            let delete = format!("DELETE FROM bulla.followers WHERE {REVOKED}");
            session.execute(&delete, &params![now.as_second()])
        })
    }

    fn drop_followers(&self, heard_after: Timestamp) -> Result<(), StoreError> {
        self.read(Lane::Read, |session| {
            let delete = "DELETE FROM bulla.followers WHERE last_contact <= $1";
            session.execute(delete, &params![heard_after.as_second()]).map(drop)
        })
    }
}

/// The names of those that did not report that they read a format.
pub(super) fn not_reading(
    session: &Session,
    format: &str,
    limit: u32,
    heard_after: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let rows = session.query(
        "SELECT name FROM bulla.followers WHERE last_contact > $1 AND position($2 IN formats) = 0 ORDER BY name LIMIT $3",
        &params![heard_after.as_second(), format!("\"{format}\""), i64::from(limit)],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Removes the row of a name. Returns whether there was one.
pub(super) fn forget(session: &Session, name: &str) -> Result<bool, StoreError> {
    Ok(session.execute("DELETE FROM bulla.followers WHERE name = $1", &params![name])? > 0)
}

/// Removes what an owner registered. How many they were.
pub(super) fn forget_of(session: &Session, owner: &str) -> Result<u64, StoreError> {
    session.execute("DELETE FROM bulla.followers WHERE owner = $1", &params![owner])
}

/// Those that have not reached a place.
fn short_of(
    session: &Session,
    log_id: &str,
    seq: u64,
    limit: u32,
    heard_after: Timestamp,
) -> Result<Short, StoreError> {
    // One statement, so that numbers and rows are of one moment: the numbers stand in each row, and alone where there
    // is none.
    let rows = session.query(
        &format!(
            "WITH heard AS (SELECT * FROM bulla.followers WHERE last_contact > $3)
             SELECT {COLUMNS}, registered, members, missing
             FROM (SELECT count(*) AS registered, count(*) FILTER (WHERE role <> 'node') AS members,
                          count(*) FILTER (WHERE {SHORT}) AS missing FROM heard) AS numbers
                  LEFT JOIN (SELECT * FROM heard WHERE {SHORT} ORDER BY name LIMIT $4) AS short ON true
             ORDER BY name"
        ),
        &params![log_id, number(seq), heard_after.as_second(), i64::from(limit)],
    )?;
    let Some(first) = rows.first() else { return Ok(Short::default()) };
    let mut short = Short {
        registered: count(first, 19),
        followers: count(first, 20),
        missing: count(first, 21),
        rows: Vec::new(),
    };
    let there = rows.iter().filter(|row| row.get::<_, Option<&str>>(0).is_some());
    short.rows = there.map(read).collect();
    Ok(short)
}

/// Notes what members reported. Of several reports of one process the last one counts; two processes under one name are
/// two statements, as one writes a row once.
fn note(session: &Session, rows: &[FollowerRow], heard_after: Timestamp) -> Result<(), StoreError> {
    let mut processes = HashSet::new();
    let mut rest: Vec<&FollowerRow> =
        rows.iter().rev().filter(|row| processes.insert((row.name.as_str(), row.instance.as_deref()))).collect();
    while !rest.is_empty() {
        let mut names = HashSet::new();
        let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().rev().partition(|row| names.insert(row.name.as_str()));
        note_each(session, now, heard_after)?;
        rest = later;
        rest.reverse();
    }
    Ok(())
}

/// Notes reports, one under each name. The rows are locked in the order of their names, so that two nodes never wait
/// for each other.
fn note_each(session: &Session, mut rows: Vec<&FollowerRow>, heard_after: Timestamp) -> Result<(), StoreError> {
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    let texts =
        |text: fn(&FollowerRow) -> Option<&str>| -> Vec<Option<&str>> { rows.iter().map(|row| text(row)).collect() };
    let numbers = |of: fn(&FollowerRow) -> u64| -> Vec<i64> { rows.iter().map(|row| number(of(row))).collect() };
    let lists = |list: fn(&FollowerRow) -> Result<String, StoreError>| -> Result<Vec<String>, StoreError> {
        rows.iter().map(|row| list(row)).collect()
    };
    let contacts: Vec<i64> = rows.iter().map(|row| row.last_contact.as_second()).collect();
    let (name, role) = (texts(|row| Some(&row.name)), texts(|row| Some(row.role.name())));
    let (owner, address) = (texts(|row| Some(&row.owner)), texts(|row| row.address.as_deref()));
    let (version, log_id) = (texts(|row| Some(&row.version)), texts(|row| row.log_id.as_deref()));
    let (formats, versions) = (lists(|row| list_of(&row.formats))?, lists(|row| list_of(&row.versions))?);
    let (realms, last_error) = (lists(|row| list_of(&row.realms))?, texts(|row| row.last_error.as_deref()));
    let (seq, this_update) = (numbers(|row| row.seq), numbers(|row| row.this_update));
    let (serial, refused) = (numbers(|row| row.keyring_serial), numbers(|row| row.refused));
    let (started, heard_after) = (numbers(|row| row.started_at), heard_after.as_second());
    let instance = texts(|row| Some(row.instance.as_deref().unwrap_or_default()));
    let doubled: Vec<i64> = vec![0; rows.len()];
    let reported_by = texts(|row| Some(row.reported_by.as_deref().unwrap_or_default()));
    let values: [Param<'_>; 20] = [
        param(&name),
        param(&role),
        param(&owner),
        param(&address),
        param(&version),
        param(&formats),
        param(&log_id),
        param(&seq),
        param(&this_update),
        param(&serial),
        param(&versions),
        param(&realms),
        param(&refused),
        param(&last_error),
        param(&started),
        param(&contacts),
        param(&instance),
        param(&doubled),
        param(&reported_by),
        param(&heard_after),
    ];
    session.execute(
        &format!(
            "INSERT INTO bulla.followers AS known ({COLUMNS})
             SELECT {COLUMNS} FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                         $17, $18, $19)
                 AS row ({COLUMNS}) ORDER BY name COLLATE \"C\"
             ON CONFLICT (name) DO UPDATE SET
                 role = excluded.role, owner = excluded.owner, address = excluded.address, version = excluded.version,
                 formats = excluded.formats, log_id = excluded.log_id,
                 seq = CASE WHEN known.log_id IS NOT DISTINCT FROM excluded.log_id
                                 AND known.started_at = excluded.started_at AND known.instance = excluded.instance
                       THEN greatest(known.seq, excluded.seq) ELSE excluded.seq END,
                 this_update = excluded.this_update, keyring_serial = excluded.keyring_serial,
                 versions = excluded.versions, realms = excluded.realms, refused = excluded.refused,
                 last_error = excluded.last_error, started_at = excluded.started_at,
                 last_contact = excluded.last_contact, instance = excluded.instance,
                 earlier = CASE WHEN known.instance IN ('', excluded.instance) THEN known.earlier
                           ELSE substr(known.instance || ' ' || known.earlier, 1, 256) END,
                 doubled_at = CASE WHEN excluded.instance NOT IN ('', known.instance)
                                        AND position(excluded.instance IN known.earlier) > 0
                              THEN excluded.last_contact ELSE known.doubled_at END,
                 reported_by = excluded.reported_by
             WHERE known.owner = excluded.owner OR excluded.owner = 'node' OR known.last_contact <= $20"
        ),
        &values,
    )?;
    Ok(())
}

fn read(row: &Row) -> FollowerRow {
    let columns = FollowerColumns {
        name: row.get(0),
        role: row.get(1),
        owner: row.get(2),
        address: row.get::<_, Option<&str>>(3).into(),
        version: row.get(4),
        formats: row.get(5),
        log_id: row.get::<_, Option<&str>>(6).into(),
        seq: row.get(7),
        this_update: row.get(8),
        keyring_serial: row.get(9),
        versions: row.get(10),
        realms: row.get(11),
        refused: row.get(12),
        last_error: row.get::<_, Option<&str>>(13).into(),
        started_at: row.get(14),
        last_contact: row.get(15),
        instance: row.get(16),
        doubled_at: row.get(17),
        reported_by: row.get(18),
    };
    columns.read()
}

/// As a JSON array.
fn list_of<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| StoreError::Failed(error.to_string()))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
