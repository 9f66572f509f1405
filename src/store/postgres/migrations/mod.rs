//! Migrations: the steps of the schema. They add to it, so that older nodes work on while newer ones start. A step that
//! an older node cannot live with says so, and older nodes stop.

use std::time::Duration;

use super::{params::params, session::Session};
use crate::{config::PostgresUrl, store::StoreError};

/// One step of the schema.
pub(super) struct Step {
    pub(super) sql: &'static str,
    /// Whether a bulla that does not know this step must not work on the store.
    pub(super) breaks: bool,
}

/// The steps; a released one never changes.
pub(super) const STEPS: [Step; 5] = [
    Step { sql: include_str!("1.sql"), breaks: false },
    // An older node goes on with the rows that it has read.
    Step { sql: include_str!("2.sql"), breaks: false },
    // An older node notices two processes under one name no more than before.
    Step { sql: include_str!("3.sql"), breaks: false },
    // An older node keeps what a revoked key registered until it is silent, as before.
    Step { sql: include_str!("4.sql"), breaks: false },
    // An older node stops on a store that moved, as `needs` keeps it off.
    Step { sql: include_str!("5.sql"), breaks: false },
];

/// Nodes that start at the same time take the steps once: this lock is held to the commit. The number is an arbitrary
/// one.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(4127316920118431)";

/// The limits of the configuration are for statements of the service. A step over a large table takes longer, and one
/// that is cancelled begins anew each time. No server's limit ends it either.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0";
/// How long an answer to a step, or to another process's steps, is waited for.
const LIMIT: Duration = Duration::from_hours(24);

/// Brings the store up to the latest step. A schema `bulla` without tables is a new store; without the schema there is
/// none, unless it is to be made.
pub(super) fn migrate(session: &Session, url: &PostgresUrl, create: bool) -> Result<(), StoreError> {
    // Nothing is asked of a role that may not change the schema where nothing is to be done.
    if done(session, url, create)? >= STEPS.len() as i64 {
        return Ok(());
    }
    tracing::info!(
        "migrating the schema of the store: this may take long in a large one, and is done once, by one process"
    );
    session.with_limit(LIMIT, || {
        session.batch(BEGIN)?;
        let migrated = take_steps(session, url, create);
        match migrated {
            Ok(()) => session.batch("COMMIT"),
            Err(error) => {
                session.rollback();
                Err(error)
            }
        }
    })
}

fn take_steps(session: &Session, url: &PostgresUrl, create: bool) -> Result<(), StoreError> {
    session.query(ONE_AT_A_TIME, &[])?;
    let done = done(session, url, create)?;
    if done == 0 {
        if create {
            session.batch("CREATE SCHEMA IF NOT EXISTS bulla")?;
        }
        session.batch(
            "CREATE TABLE IF NOT EXISTS bulla.schema_steps (step bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
        )?;
    }
    for (number, step) in (1..).zip(&STEPS).filter(|(number, _)| *number > done) {
        session.batch(step.sql)?;
        session.execute("INSERT INTO bulla.schema_steps (step) VALUES ($1)", &params![number])?;
        if step.breaks {
            session.execute("UPDATE bulla.store SET needs = greatest(needs, $1) WHERE id = 1", &params![number])?;
        }
        tracing::info!(step = number, "store schema migrated");
    }
    Ok(())
}

/// The number of steps that a bulla must know to work on a store of this version.
pub(super) fn needed() -> i64 {
    (1..).zip(&STEPS).filter(|(_, step)| step.breaks).map(|(number, _)| number).max().unwrap_or(0)
}

/// How many steps were taken.
fn done(session: &Session, url: &PostgresUrl, create: bool) -> Result<i64, StoreError> {
    let row = session.only(
        "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'bulla'), to_regclass('bulla.schema_steps') IS NOT NULL",
        &[],
    )?;
    match (row.get(0), row.get(1)) {
        (_, true) => Ok(session.only("SELECT coalesce(max(step), 0) FROM bulla.schema_steps", &[])?.get(0)),
        (true, false) => Ok(0),
        (false, false) if create => Ok(0),
        (false, false) => Err(StoreError::NoSchema(url.to_string())),
    }
}

#[cfg(test)]
mod tests;
