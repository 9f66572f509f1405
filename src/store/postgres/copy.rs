//! Reads rows as they are, and takes those of another store. While it does, the row of the store says that a bulla must
//! know more steps than there will ever be, so that none works on half a copy.

use jiff::Timestamp;
use tokio_postgres::{Row, types::Type};

use super::{
    PostgresStore,
    migrations::needed,
    moved,
    params::{Param, params},
    pool::Lane,
    session::Session,
};
use crate::store::{
    StoreError,
    copy::{Head, Kind, RawRow, Source, Stand, TABLES, Table, Target, Value},
    moved::Moved,
};

/// What `needs` says of half a copy.
pub(super) const UNFINISHED: i64 = i64::MAX;

/// Whether this is half a copy still.
const IS_COPY: &str = "(SELECT needs FROM bulla.store WHERE id = 1) = 9223372036854775807";

/// One column of many rows, as an array.
enum Column<'a> {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Column<'a> {
    fn of(kind: Kind, rows: &'a [RawRow], at: usize) -> Self {
        let values = rows.iter().map(|row| &row[at]);
        match kind {
            Kind::Integer => Column::Integers(values.map(integer).collect()),
            Kind::Text => Column::Texts(values.map(text).collect()),
            Kind::Bytes => Column::Bytes(values.map(bytes).collect()),
        }
    }

    fn param(&self) -> Param<'_> {
        match self {
            Column::Integers(values) => (values, Type::INT8_ARRAY),
            Column::Texts(values) => (values, Type::TEXT_ARRAY),
            Column::Bytes(values) => (values, Type::BYTEA_ARRAY),
        }
    }
}

fn integer(value: &Value) -> Option<i64> {
    if let Value::Integer(number) = value { Some(*number) } else { None }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
}

/// These columns of many rows, and `unnest` of them in SQL.
fn columns<'a>(table: &Table, count: usize, rows: &'a [RawRow]) -> (Vec<Column<'a>>, String) {
    let all = table.columns.iter().take(count).enumerate().map(|(at, (_, kind))| Column::of(*kind, rows, at));
    let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
    (all.collect(), format!("unnest({})", places.join(", ")))
}

fn read(row: &Row, table: &Table) -> RawRow {
    let value = |(at, (_, kind)): (usize, &(&str, Kind))| match kind {
        Kind::Integer => row.get::<_, Option<i64>>(at).map_or(Value::Null, Value::Integer),
        Kind::Text => row.get::<_, Option<String>>(at).map_or(Value::Null, Value::Text),
        Kind::Bytes => row.get::<_, Option<Vec<u8>>>(at).map_or(Value::Null, Value::Bytes),
    };
    table.columns.iter().enumerate().map(value).collect()
}

fn rows(session: &Session, table: &Table) -> Result<u64, StoreError> {
    Ok(super::counts::count(&session.only(&format!("SELECT count(*) FROM bulla.{}", table.name), &[])?, 0))
}

impl Source for PostgresStore {
    fn head(&self) -> Result<Head, StoreError> {
        self.read(Lane::Read, |session| {
            let row = session.only(
                "SELECT log_id, key_seq, revocation_seq, secret_seq, sweep_clock FROM bulla.store WHERE id = 1",
                &[],
            )?;
            Ok(Head {
                log_id: row.get(0),
                key: row.get(1),
                revocation: row.get(2),
                secret: row.get(3),
                sweep_clock: row.get(4),
            })
        })
    }

    fn rows(&self, table: &Table) -> Result<u64, StoreError> {
        self.read(Lane::Count, |session| rows(session, table))
    }

    fn page(&self, table: &Table, behind: Option<&[Value]>, limit: usize) -> Result<Vec<RawRow>, StoreError> {
        let (names, key) = (table.names(), table.key_names());
        let places: Vec<String> = (1..=table.key).map(|place| format!("${place}")).collect();
        let after = behind.map_or(String::new(), |_| format!("WHERE ({key}) > ({})", places.join(", ")));
        let query = format!("SELECT {names} FROM bulla.{} {after} ORDER BY {key} LIMIT {limit}", table.name);
        let numbers: Vec<Option<i64>> = behind.unwrap_or_default().iter().map(integer).collect();
        let texts: Vec<Option<&str>> = behind.unwrap_or_default().iter().map(text).collect();
        let values: Vec<Param<'_>> = (0..numbers.len())
            .map(|at| match table.columns[at].1 {
                Kind::Integer => (&numbers[at] as _, Type::INT8),
                Kind::Text | Kind::Bytes => (&texts[at] as _, Type::TEXT),
            })
            .collect();
        self.read(Lane::Read, |session| {
            Ok(session.query(&query, &values)?.iter().map(|row| read(row, table)).collect())
        })
    }

    fn moved(&self) -> Result<Option<Moved>, StoreError> {
        self.read(Lane::Read, moved::read)
    }

    fn mark_moved(&self, moved: &Moved) -> Result<(), StoreError> {
        moved::mark(self, moved)
    }

    fn unmark_moved(&self) -> Result<(), StoreError> {
        moved::unmark(self)
    }
}

impl Target for PostgresStore {
    fn state(&self, head: &Head) -> Result<Stand, StoreError> {
        self.read(Lane::Read, |session| {
            let stand = stand(session, head)?;
            if matches!(stand, Stand::New | Stand::Begun) {
                may_copy(session)?;
            }
            Ok(stand)
        })
    }

    fn begin(&self, head: &Head) -> Result<(), StoreError> {
        self.set(head, UNFINISHED, "log_id <> $1")
    }

    fn put(&self, table: &Table, rows: &[RawRow]) -> Result<(), StoreError> {
        let (columns, unnest) = columns(table, table.columns.len(), rows);
        let key = table.key_names();
        let set: Vec<String> =
            table.columns[table.key..].iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect();
        // A record of the audit never takes the place of another one.
        let conflict = match table.name {
            "audit" => String::new(),
            _ if set.is_empty() => format!("ON CONFLICT ({key}) DO NOTHING"),
            _ => format!("ON CONFLICT ({key}) DO UPDATE SET {}", set.join(", ")),
        };
        let insert = format!(
            "INSERT INTO bulla.{} ({names}) SELECT {names} FROM {unnest} AS row ({names}) WHERE {IS_COPY} ORDER BY {key} {conflict}",
            table.name,
            names = table.names()
        );
        let values: Vec<Param<'_>> = columns.iter().map(Column::param).collect();
        self.copying(|session| session.execute(&insert, &values).map(drop))
    }

    fn remove(&self, table: &Table, keys: &[RawRow]) -> Result<(), StoreError> {
        let (columns, unnest) = columns(table, table.key, keys);
        let key = table.key_names();
        let values: Vec<Param<'_>> = columns.iter().map(Column::param).collect();
        let delete =
            format!("DELETE FROM bulla.{} WHERE ({key}) IN (SELECT * FROM {unnest}) AND {IS_COPY}", table.name);
        self.copying(|session| session.execute(&delete, &values).map(drop))
    }

    fn finish(&self, head: &Head) -> Result<(), StoreError> {
        self.set(head, needed(), IS_COPY)
    }

    fn moved_here(&self, at: Timestamp) -> Moved {
        Moved { to: self.url.clone(), mark: self.mark.0.clone(), at }
    }
}

impl PostgresStore {
    /// Sets what is in no row, if the store is as `condition` says.
    fn set(&self, head: &Head, needs: i64, condition: &str) -> Result<(), StoreError> {
        let update = format!(
            "UPDATE bulla.store SET log_id = $1, needs = $2, key_seq = $3, revocation_seq = $4, secret_seq = $5,
                    sweep_clock = $6 WHERE id = 1 AND {condition}"
        );
        self.read(Lane::Write, |session| {
            let changed = session.execute(
                &update,
                &params![head.log_id.as_str(), needs, head.key, head.revocation, head.secret, head.sweep_clock],
            )?;
            if changed == 0 { Err(in_the_way()) } else { Ok(()) }
        })
    }

    /// One statement, which is a transaction of its own: what is done twice is done once. It does nothing where the
    /// copy was finished by another process, as services may work on it then.
    fn copying(&self, work: impl Fn(&Session) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.read(Lane::Write, |session| {
            work(session)?;
            match session.only(&format!("SELECT {IS_COPY}"), &[])?.get(0) {
                true => Ok(()),
                false => Err(in_the_way()),
            }
        })
    }
}

fn in_the_way() -> StoreError {
    StoreError::Failed(
        "another `bulla store copy` into this database is in the way: wait until it ends, and run this again"
            .to_owned(),
    )
}

/// Where a copy of the store with this head stands.
fn stand(session: &Session, head: &Head) -> Result<Stand, StoreError> {
    let row = session
        .only("SELECT log_id, needs, key_seq + revocation_seq + secret_seq FROM bulla.store WHERE id = 1", &[])?;
    let (log_id, needs, numbers): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
    match (log_id == head.log_id, needs == UNFINISHED) {
        (true, true) => return Ok(Stand::Begun),
        (true, false) => return Ok(Stand::Finished),
        (false, true) => return Ok(Stand::Other),
        (false, false) => {}
    }
    for table in &TABLES {
        if numbers > 0 || rows(session, table)? > 0 {
            return Ok(Stand::Other);
        }
    }
    Ok(Stand::New)
}

/// Fails for a role that may not write every table, such as a service's: the copy would end in the middle.
fn may_copy(session: &Session) -> Result<(), StoreError> {
    let row = session.only(
        "SELECT has_table_privilege('bulla.revocations', 'UPDATE') AND has_table_privilege('bulla.api_keys', 'DELETE'),
                current_user::text",
        &[],
    )?;
    if row.get(0) {
        return Ok(());
    }
    let role: &str = row.get(1);
    Err(StoreError::Failed(format!(
        "the role {role} may not write every table: copy as the role that owns the tables, then run \
         docs/examples/postgresql/roles.sql"
    )))
}
