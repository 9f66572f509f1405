//! Where a store of a test is, and direct access to it beside the store.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::{Store, open, test_postgres::Postgres};
use crate::config::StoreConfig;

/// The roles of the documentation.
const ROLES: &str = include_str!("../../../docs/examples/postgresql/roles.sql");

pub(super) struct TestStore {
    pub(super) store: Arc<dyn Store>,
    folder: TempDir,
    url: String,
    database: Option<String>,
}

impl TestStore {
    /// A new file.
    pub(super) fn sqlite() -> Self {
        Self::at("sqlite:bulla.db".to_owned(), None)
    }

    /// A new database on the shared server.
    pub(super) fn postgres() -> Self {
        let database = Postgres::shared().new_database();
        Self::at(Postgres::shared().url(&database), Some(database))
    }

    /// The same for the role of the service, whose tables are another one's.
    pub(super) fn postgres_as_the_service() -> Self {
        // Roles are the whole server's: two at once would be in each other's way.
        static MAKING_ROLES: Mutex<()> = Mutex::new(());
        let server = Postgres::shared();
        let database = server.new_database();
        let folder = tempfile::tempdir().expect("a folder");
        open(&StoreConfig::at(&server.url(&database)), folder.path(), true).expect("made by the owner");
        let making = MAKING_ROLES.lock().unwrap_or_else(PoisonError::into_inner);
        server.psql(&database, ROLES);
        drop(making);
        Self::at(server.url_of("bulla", &database), Some(database))
    }

    fn at(url: String, database: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(&StoreConfig::at(&url), folder.path(), true).expect("a store");
        TestStore { store, folder, url, database }
    }

    /// The same store, opened once more.
    pub(super) fn again(&self) -> Arc<dyn Store> {
        open(&StoreConfig::at(&self.url), self.folder.path(), false).expect("again")
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bulla.db")
    }

    /// Does what an administrator may do with SQL.
    pub(super) fn try_sql(&self, sql: &str) -> Result<String, String> {
        let Some(database) = &self.database else {
            let connection = Connection::open(self.path()).expect("opened");
            return connection.execute_batch(sql).map(|()| String::new()).map_err(|error| error.to_string());
        };
        let output = Postgres::shared().try_psql(database, &format!("SET search_path = bulla; {sql}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The same, which has to succeed.
    pub(super) fn sql(&self, sql: &str) {
        self.try_sql(sql).expect(sql);
    }

    /// The number that a query yields.
    pub(super) fn number(&self, query: &str) -> i64 {
        if self.database.is_some() {
            return self.try_sql(query).expect(query).parse().expect("a number");
        }
        let connection = Connection::open(self.path()).expect("opened");
        connection.query_row(query, [], |row| row.get(0)).expect(query)
    }
}
