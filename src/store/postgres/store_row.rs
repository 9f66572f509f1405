//! The one row of the table `store`: what the store is, and the latest numbers. Its lock serialises all transactions
//! that write: numbers become visible in their order, the audit has no gap, and what a transaction read is still so
//! when it commits.

use tokio_postgres::Row;

use super::{
    copy::UNFINISHED,
    era::{self, now},
    migrations::STEPS,
    moved::{self, MOVED},
    session::Session,
};
use crate::store::StoreError;

/// Takes the lock. A commit in it waits for the disk, and for a synchronous standby where there is one, whatever the
/// role's or the database's default says.
const LOCK: &str = concat!(
    "SELECT mark, needs, key_seq, revocation_seq, secret_seq, CASE WHEN era IS DISTINCT FROM ",
    now!(),
    " THEN ",
    now!(),
    " END,
           set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
                                                 ELSE current_setting('synchronous_commit') END, true)
    FROM bulla.store WHERE id = 1 FOR UPDATE"
);

/// The latest numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) key: i64,
    pub(super) revocation: i64,
    pub(super) secret: i64,
}

/// What identifies a store.
#[derive(Clone, Debug)]
pub(super) struct Mark(pub(super) String);

impl Mark {
    /// The mark of the store behind this connection, which is not checked otherwise.
    pub(super) fn read(session: &Session) -> Result<Self, StoreError> {
        Ok(Mark(session.only("SELECT mark FROM bulla.store WHERE id = 1", &[])?.get(0)))
    }

    /// Checks that this connection leads to the store with this mark, and that we know its schema.
    pub(super) fn check(&self, session: &Session) -> Result<(), StoreError> {
        let row = session.only("SELECT mark, needs, pg_is_in_recovery() FROM bulla.store WHERE id = 1", &[])?;
        self.compare(session, row.get(0), row.get(1), row.get(2))
    }

    /// The same, of a row that was read.
    pub(super) fn compare(&self, session: &Session, mark: &str, needs: i64, standby: bool) -> Result<(), StoreError> {
        if mark != self.0 {
            return Err(StoreError::Exchanged(
                "another database answers behind store.url than the one that was opened: nothing is acknowledged any more. Let the \
                 URL lead to the right one, or restart bulla if the other one is meant"
                    .to_owned(),
            ));
        }
        if standby {
            return Err(StoreError::Failed(
                "a standby answers behind store.url, which may be behind the primary: let the URL, or the pooler, lead to the \
                 primary"
                    .to_owned(),
            ));
        }
        refuse_newer(session, needs)
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&self, session: &Session, begin: &str) -> Result<Numbers, StoreError> {
        let begun = session.begin_with(begin, LOCK).and_then(|row| {
            let missing =
                || StoreError::Failed("the store's table `store` has no row: restore it from a backup".to_owned());
            let row: Row = row.ok_or_else(missing)?;
            self.compare(session, row.get(0), row.get(1), false)?;
            match row.get::<_, Option<&str>>(5) {
                None => Ok(Numbers { key: row.get(2), revocation: row.get(3), secret: row.get(4) }),
                Some(new) => era::enter(session, new),
            }
        });
        if begun.is_err() {
            session.rollback();
        }
        begun
    }
}

fn refuse_newer(session: &Session, needs: i64) -> Result<(), StoreError> {
    if usize::try_from(needs).is_ok_and(|needs| needs <= STEPS.len()) {
        return Ok(());
    }
    if needs == UNFINISHED {
        return Err(StoreError::Failed(
            "the store is half a copy of another one: run `bulla store copy` again, which goes on where it was"
                .to_owned(),
        ));
    }
    if needs == MOVED
        && let Some(moved) = moved::read(session)?
    {
        return Err(moved.error("in PostgreSQL".to_owned()));
    }
    Err(StoreError::Newer("in PostgreSQL".to_owned(), needs))
}
