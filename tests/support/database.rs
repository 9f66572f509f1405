//! A deployment's store as an administrator with SQL sees it: the file, or the database in PostgreSQL. Both have the
//! same tables and take the same statements, as far as the tests need them.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use super::postgres::Postgres;

/// Where the rows lie.
#[derive(Clone)]
pub enum Database {
    File(PathBuf),
    /// A database of the shared server, by its name.
    Postgres(String),
}

impl Database {
    /// Runs statements.
    pub fn run(&self, sql: &str) {
        match self {
            Database::File(path) => open(path).execute_batch(sql).expect(sql),
            Database::Postgres(name) => drop(Postgres::shared().psql(name, &in_schema(sql))),
        }
    }

    /// Runs a statement that changes rows; how many.
    pub fn change(&self, sql: &str) -> usize {
        self.rows(&format!("{sql} RETURNING 1")).len()
    }

    /// The rows of a query, with every column as a text; NULL is an empty one.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Database::File(path) => rows_of(&open(path), sql),
            Database::Postgres(name) => Postgres::shared().rows(name, &in_schema(sql)),
        }
    }

    /// The one column of the one row.
    pub fn text(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        let [row] = rows.as_slice() else { panic!("{sql}: one row, not {}", rows.len()) };
        let [column] = row.as_slice() else { panic!("{sql}: one column, not {}", row.len()) };
        column.clone()
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.text(sql).parse().expect("a number")
    }

    /// The time that sweeps go by.
    pub fn sweep_clock(&self) -> i64 {
        self.number(match self {
            Database::File(_) => "SELECT at FROM sweep_clock",
            Database::Postgres(_) => "SELECT sweep_clock FROM store",
        })
    }

    /// Adds a row to the revocation log, as nothing but an administrator with SQL does it.
    pub fn insert_revocation(&self, columns: &str, values: &str) {
        let insert = |columns: &str, values: &str| format!("INSERT INTO revocations ({columns}) VALUES ({values})");
        self.run(&match self {
            Database::File(_) => insert(columns, values),
            // Numbers come from one row, which is locked to the commit.
            Database::Postgres(_) => format!(
                "BEGIN; UPDATE store SET revocation_seq = revocation_seq + 1; {}; COMMIT",
                insert(&format!("seq, {columns}"), &format!("(SELECT revocation_seq FROM store), {values}"))
            ),
        });
    }

    /// Lets nobody read the revocation log.
    pub fn hide_log(&self) {
        self.run("ALTER TABLE revocations RENAME TO elsewhere");
    }

    /// As before.
    pub fn show_log(&self) {
        self.run("ALTER TABLE elsewhere RENAME TO revocations");
    }

    /// Lets no record into the audit, or none about this action.
    pub fn refuse_audit(&self, action: Option<&str>) {
        let when = action.map_or(String::new(), |action| format!("WHEN (NEW.action = '{action}')"));
        self.run(&match self {
            Database::File(_) => format!(
                "CREATE TRIGGER no_more BEFORE INSERT ON audit {when} BEGIN SELECT RAISE(ABORT, 'no more audit'); END"
            ),
            Database::Postgres(_) => format!(
                "CREATE FUNCTION no_more() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'no more audit'; END $$;
                 CREATE TRIGGER no_more BEFORE INSERT ON audit FOR EACH ROW {when} EXECUTE FUNCTION no_more()"
            ),
        });
    }

    /// As before.
    pub fn allow_audit(&self) {
        self.run(match self {
            Database::File(_) => "DROP TRIGGER no_more",
            Database::Postgres(_) => "DROP TRIGGER no_more ON audit; DROP FUNCTION no_more",
        });
    }

    /// A writer that lets nobody else write until it is dropped.
    pub fn hold(&self) -> Held {
        match self {
            Database::File(path) => {
                let connection = open(path);
                connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
                Held::File(Box::new(connection))
            }
            Database::Postgres(name) => {
                let mut psql = Postgres::shared().psql_open(name);
                let input = psql.stdin.as_mut().expect("its standard input");
                // Uses and reports are written without the lock on the row of `store`.
                let tables = "bulla.store, bulla.api_keys, bulla.followers";
                writeln!(input, "BEGIN; LOCK TABLE {tables} IN EXCLUSIVE MODE; SELECT 1;").expect("written");
                let mut told = String::new();
                let output = psql.stdout.as_mut().expect("its standard output");
                BufReader::new(output).read_line(&mut told).expect("read");
                assert_eq!(told, "1\n", "the lock");
                Held::Postgres(psql)
            }
        }
    }

    /// Everything that lies in it, as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Database::File(path) => ["", "-wal"]
                .iter()
                .flat_map(|ending| std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default())
                .collect(),
            Database::Postgres(name) => Postgres::shared().dump(name),
        }
    }
}

/// A transaction that holds the lock of a store's writers.
pub enum Held {
    File(Box<rusqlite::Connection>),
    Postgres(Child),
}

impl Drop for Held {
    fn drop(&mut self) {
        match self {
            Held::File(connection) => connection.execute_batch("ROLLBACK").expect("given back"),
            Held::Postgres(psql) => {
                drop(psql.stdin.take());
                let _gone_already = psql.wait();
            }
        }
    }
}

fn open(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("the store");
    connection.busy_timeout(Duration::from_secs(60)).expect("set");
    connection
}

fn rows_of(connection: &rusqlite::Connection, sql: &str) -> Vec<Vec<String>> {
    use rusqlite::types::ValueRef;
    let mut query = connection.prepare(sql).expect(sql);
    let columns = query.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).expect("UTF-8"),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let rows = query.query_map([], |row| (0..columns).map(|at| row.get_ref(at).map(text)).collect());
    rows.expect(sql).collect::<Result<_, _>>().expect(sql)
}

fn in_schema(sql: &str) -> String {
    format!("SET search_path = bulla;\n{sql}")
}
