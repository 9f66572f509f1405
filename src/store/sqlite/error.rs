//! What SQLite fails with, and what to do.

use rusqlite::ErrorCode;

use crate::store::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let message = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full: free space and try again",
            Some(ErrorCode::ReadOnly) => "it is read-only: check the file's mode and owner, and the mount",
            Some(ErrorCode::SystemIoFailure) => {
                return StoreError::Failed(format!(
                    "{error}: the system does not let it be read or written; look for a full or failing disk, a quota, or a \
                     limit on the size of files (`ulimit -f`, LimitFSIZE=)"
                ));
            }
            Some(ErrorCode::NotADatabase) => "it is not a SQLite database: put the store back from a backup",
            Some(ErrorCode::DatabaseCorrupt) => {
                "it is damaged: stop every bulla on it, and put the store back from a backup"
            }
            _ => return StoreError::Failed(error.to_string()),
        };
        StoreError::Failed(message.to_owned())
    }
}
