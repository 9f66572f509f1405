//! The embedded store: SQLite in WAL mode. The only file that speaks its dialect.

mod ledger;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulla::{ApiKeyId, KeyVersion, KeyringId, KeyringMemory};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};

use super::{LedgerFilter, LedgerRow, SealCount, Store, StoreError};

/// The schema's steps; a store counts in `user_version` how many it has.
const MIGRATIONS: [&str; 1] = [include_str!("../schema-1.sql")];

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
    fn record(&self, rows: &[LedgerRow], budget: Option<u64>) -> Result<(), StoreError> {
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
            count_seal(&transaction, row, budget)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self.connection().query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    fn list(&self, filter: &LedgerFilter) -> Result<Vec<(i64, LedgerRow)>, StoreError> {
        ledger::list(&self.connection(), filter)
    }

    fn find(&self, id: &ApiKeyId) -> Result<Option<LedgerRow>, StoreError> {
        ledger::find(&self.connection(), id)
    }

    fn seal_counts(&self) -> Result<Vec<SealCount>, StoreError> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT realm, version, count FROM seal_counts ORDER BY version, realm")?;
        let rows = query.query_map([], |row| {
            Ok(SealCount { realm: row.get(0)?, version: row.get(1)?, count: row.get::<_, i64>(2)?.unsigned_abs() })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn keyring_memories(&self) -> Result<HashMap<KeyringId, KeyringMemory>, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let mut memories: HashMap<KeyringId, KeyringMemory> = HashMap::new();
        let mut serials = transaction.prepare("SELECT keyring_id, serial FROM keyring_memory")?;
        let mut rows = serials.query([])?;
        while let Some(row) = rows.next()? {
            memories.entry(keyring_id(row)?).or_default().serial = row.get::<_, i64>(1)?.unsigned_abs();
        }
        let mut burned = transaction.prepare("SELECT keyring_id, version FROM keyring_burned ORDER BY version")?;
        let mut rows = burned.query([])?;
        while let Some(row) = rows.next()? {
            memories.entry(keyring_id(row)?).or_default().burned.extend(KeyVersion::new(row.get(1)?));
        }
        Ok(memories)
    }

    fn remember_keyring(&self, id: KeyringId, seen: &KeyringMemory) -> Result<(), StoreError> {
        let (mut connection, id) = (self.connection(), id.to_string());
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO keyring_memory (keyring_id, serial) VALUES (?1, ?2)
             ON CONFLICT (keyring_id) DO UPDATE SET serial = max(serial, excluded.serial)",
            params![id, i64::try_from(seen.serial).unwrap_or(i64::MAX)],
        )?;
        for version in &seen.burned {
            transaction.execute(
                "INSERT OR IGNORE INTO keyring_burned (keyring_id, version) VALUES (?1, ?2)",
                params![id, version.number()],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn keyring_id(row: &rusqlite::Row<'_>) -> Result<KeyringId, StoreError> {
    let text: String = row.get(0)?;
    text.parse().map_err(|_| StoreError::Failed(format!("`{text}` is remembered, which is no keyring id")))
}

fn count_seal(transaction: &Transaction<'_>, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError> {
    let count: i64 = transaction
        .prepare_cached(
            "INSERT INTO seal_counts (realm, version, count) VALUES (?1, ?2, 1)
             ON CONFLICT (realm, version) DO UPDATE SET count = count + 1 RETURNING count",
        )?
        .query_row(params![row.realm.as_str(), row.version], |row| row.get(0))?;
    match budget {
        Some(budget) if count.unsigned_abs() > budget => {
            let count = count.unsigned_abs() - 1;
            Err(StoreError::BudgetSpent { realm: row.realm, version: row.version, count, budget })
        }
        _ => Ok(()),
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
        store.record(std::slice::from_ref(&one), None).expect("recorded");
        assert!(matches!(store.record(&[two.clone(), one], None), Err(StoreError::Duplicate)));
        assert_eq!(store.count().expect("a count"), 1, "the batch with a duplicate left nothing behind");
        store.record(&[two], None).expect("recorded");
        drop(store);
        let store = SqliteStore::open(&path, false).expect("again");
        assert_eq!(store.count().expect("a count"), 2);
        let (one, two) = (row("acme_live_00000XzbyFf5rOyRXQyt8V"), row("acme_live_00000YHqiQd7Eu4eUpRFdL"));
        assert_eq!(store.find(&two.id).expect("found"), Some(two.clone()));
        assert_eq!(store.find(&row("acme_live_0000000000000000000000").id).expect("looked"), None);
        let list = |after, limit| {
            let rows = store.list(&LedgerFilter { after, limit, ..LedgerFilter::default() }).expect("a page");
            rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>()
        };
        assert_eq!((list(0, 10), list(0, 1), list(1, 10)), (vec![one.clone(), two.clone()], vec![one], vec![two]));
        let elsewhere = LedgerFilter { realm: "live".parse().ok(), limit: 10, ..LedgerFilter::default() };
        assert_eq!(store.list(&elsewhere).expect("a page"), []);
    }

    #[test]
    fn a_budget_is_counted_per_realm_and_version_and_never_exceeded() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
        let (one, two) = (row("acme_live_00000XzbyFf5rOyRXQyt8V"), row("acme_live_00000YHqiQd7Eu4eUpRFdL"));
        let elsewhere = row("acme_test_00000XzbyFf5rOyRXQyt8V");
        store.record(&[one.clone(), elsewhere], Some(1)).expect("one of each realm");
        let spent = store.record(std::slice::from_ref(&two), Some(1));
        assert!(matches!(spent, Err(StoreError::BudgetSpent { count: 1, budget: 1, version: 7, .. })), "{spent:?}");
        assert_eq!(store.count().expect("a count"), 2, "nothing was recorded over the budget");
        store.record(&[two], Some(2)).expect("within the budget");
        let counts = store.seal_counts().expect("counts");
        assert_eq!(
            counts.iter().map(|one| (one.realm.as_str(), one.count)).collect::<Vec<_>>(),
            [("acme_live", 2), ("acme_test", 1)]
        );
    }

    #[test]
    fn what_is_remembered_of_a_keyring_only_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("bulla.db"), true).expect("a store");
        let id = KeyringId::from_bytes([1; 16]);
        assert!(store.keyring_memories().expect("nothing yet").is_empty());
        let version = |number| KeyVersion::new(number).expect("a number");
        store.remember_keyring(id, &KeyringMemory { serial: 5, burned: vec![version(2)] }).expect("remembered");
        store.remember_keyring(id, &KeyringMemory { serial: 3, burned: vec![version(1)] }).expect("remembered");
        let memory = KeyringMemory { serial: 5, burned: vec![version(1), version(2)] };
        assert_eq!(store.keyring_memories().expect("a memory"), HashMap::from([(id, memory)]));
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
