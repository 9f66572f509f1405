//! The mark of a store: a random token that every write transaction replaces.
//!
//! SQLite applies a write-ahead log to the database beside it, and damages a database that the log was not written for.
//! The mark shows that: the first mark in a log names the token before it, which the database itself still has, unless
//! it already has one of the log's own marks.

use rand::{TryRng, rngs::SysRng};
use rusqlite::{Connection, OptionalExtension};

use crate::store::StoreError;

/// Bytes of a mark in the store.
pub(super) const BYTES: usize = 52;
/// The beginning of each mark, by which it is recognized in a page.
pub(super) const MAGIC: &[u8; 16] = b"bulla store mark";

/// A token of a mark; all zero before the first.
pub(super) type Token = [u8; 16];

/// One mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The token before.
    pub(super) previous: Token,
    pub(super) token: Token,
    /// SQLite's schema cookie when the transaction began. It tells a store from its copy by `VACUUM INTO`, which has
    /// the same mark on other pages.
    pub(super) cookie: u32,
}

impl Mark {
    /// Parses a mark; `None` where bulla has not written it.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (previous, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
        let (token, rest) = rest.split_first_chunk()?;
        Some(Mark { previous: *previous, token: *token, cookie: u32::from_be_bytes(rest.try_into().ok()?) })
    }

    fn bytes(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.previous, &self.token, &self.cookie.to_be_bytes()].concat()
    }
}

/// The mark that a connection sees; `None` in a store without one.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Mark>> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE name = 'store_mark'";
    if connection.prepare_cached(exists)?.query_row([], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let mut query = connection.prepare_cached("SELECT mark FROM store_mark")?;
    let bytes: Option<Vec<u8>> = query.query_row([], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| Mark::parse(&bytes)))
}

/// SQLite's schema cookie.
pub(super) fn cookie(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "schema_version", |row| row.get(0))
}

/// Replaces the mark within a transaction that began with this schema cookie.
pub(super) fn renew(connection: &Connection, cookie: u32) -> Result<(), StoreError> {
    let previous = read(connection)?.map_or([0; 16], |mark| mark.token);
    let mut token = [0; 16];
    SysRng.try_fill_bytes(&mut token).map_err(|error| StoreError::Failed(error.to_string()))?;
    let mark = Mark { previous, token, cookie };
    connection
        .prepare_cached("INSERT OR REPLACE INTO store_mark (id, mark) VALUES (1, ?1)")?
        .execute([mark.bytes()])?;
    Ok(())
}
