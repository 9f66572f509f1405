//! Migrations: the steps of the schema, and how a store is brought up to the latest.

mod detect;

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::mark;
use crate::store::StoreError;

/// The schema's steps; a store counts in `user_version` how many it has.
pub(super) const STEPS: [&str; 13] = [
    include_str!("1.sql"),
    include_str!("2.sql"),
    include_str!("3.sql"),
    include_str!("4.sql"),
    include_str!("5.sql"),
    include_str!("6.sql"),
    include_str!("7.sql"),
    include_str!("8.sql"),
    include_str!("9.sql"),
    include_str!("10.sql"),
    include_str!("11.sql"),
    include_str!("12.sql"),
    include_str!("13.sql"),
];

/// Takes the steps that the store at `path` has not had, in one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // Nothing is written where nothing is to be done: a store on a full disk can still be read.
    if steps_done(connection)? == STEPS.len() as i64 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let cookie = mark::cookie(&transaction)?;
    let done = match steps_done(&transaction)? {
        0 => detect::steps_in(&transaction)?,
        done => done,
    };
    let steps = usize::try_from(done)
        .ok()
        .and_then(|done| STEPS.get(done..))
        .ok_or_else(|| StoreError::Newer(path.display().to_string(), done))?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    mark::renew(&transaction, cookie)?;
    transaction.commit()?;
    Ok(())
}

/// Refuses a store that is not at the latest step and cannot be brought up to it, as it is read-only.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let done = steps_done(connection)?;
    match usize::try_from(done) {
        Ok(done) if done == STEPS.len() => Ok(()),
        Ok(done) if done < STEPS.len() => Err(StoreError::Failed(
            "an older bulla wrote it, and it is read-only: make it writable once, so that it can be migrated"
                .to_owned(),
        )),
        _ => Err(StoreError::Newer(path.display().to_string(), done)),
    }
}

fn steps_done(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
