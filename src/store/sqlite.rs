//! The embedded store: SQLite in WAL mode. The only file that speaks its dialect.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::{LedgerRow, Store, StoreError};

/// The schema's steps; a store counts in `user_version` how many it has.
const MIGRATIONS: [&str; 1] = [include_str!("schema-1.sql")];

/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

pub(super) struct SqliteStore {
    connection: Mutex<Connection>,
}

impl SqliteStore {
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        if !create && !path.exists() {
            return Err(StoreError::Missing(name));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create {
            create_private(path)?;
        }
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut connection, &name)?;
        Ok(SqliteStore { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half transaction behind: dropping it rolled it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ledger rows are nobody else's business; SQLite would follow the umask.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))
}

fn migrate(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let done: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let steps = usize::try_from(done)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or_else(|| StoreError::Newer(name.to_owned(), done))?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}

impl Store for SqliteStore {
    fn record(&self, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for row in rows {
            let meta = serde_json::to_string(&row.meta).map_err(|error| StoreError::Failed(error.to_string()))?;
            transaction
                .prepare_cached(
                    "INSERT INTO api_keys (api_key_id, realm, app_id, version, name, issued_at, expires_at, scopes, meta, issued_by)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    row.id.to_string(),
                    row.realm.as_str(),
                    row.app_id.to_string(),
                    row.version,
                    row.name,
                    row.issued_at.as_second(),
                    row.expires_at.map(jiff::Timestamp::as_second),
                    row.scopes.join(" "),
                    meta,
                    row.issued_by,
                ])?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self.connection().query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => StoreError::Duplicate,
            Some(ErrorCode::DiskFull) => StoreError::Failed("the disk is full: free space and try again".to_owned()),
            Some(ErrorCode::ReadOnly) => {
                StoreError::Failed("it is read-only: check the file's mode and owner, and the mount".to_owned())
            }
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> LedgerRow {
        let id: bulla::ApiKeyId = id.parse().expect("an id");
        LedgerRow {
            id,
            realm: id.realm(),
            app_id: uuid::Uuid::nil(),
            version: id.version(),
            name: Some("a name".to_owned()),
            issued_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: None,
            scopes: vec!["a".to_owned(), "b".to_owned()],
            meta: [("k".to_owned(), "v".to_owned())].into(),
            issued_by: "test".to_owned(),
        }
    }

    #[test]
    fn rows_are_recorded_all_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bulla.db");
        assert!(matches!(SqliteStore::open(&path, false), Err(StoreError::Missing(_))));
        let store = SqliteStore::open(&path, true).expect("a store");
        let (one, two) = (row("acme_live_00000XzbyFf5rOyRXQyt8V"), row("acme_live_00000YHqiQd7Eu4eUpRFdL"));
        store.record(std::slice::from_ref(&one)).expect("recorded");
        assert!(matches!(store.record(&[two.clone(), one]), Err(StoreError::Duplicate)));
        assert_eq!(store.count().expect("a count"), 1, "the batch with a duplicate left nothing behind");
        store.record(&[two]).expect("recorded");
        drop(store);
        assert_eq!(SqliteStore::open(&path, false).expect("again").count().expect("a count"), 2);
    }

    #[test]
    fn a_newer_store_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bulla.db");
        drop(SqliteStore::open(&path, true).expect("a store"));
        Connection::open(&path).expect("opened").pragma_update(None, "user_version", 99).expect("set");
        assert!(matches!(SqliteStore::open(&path, false), Err(StoreError::Newer(_, 99))));
    }
}
