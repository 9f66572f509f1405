//! Errors of the driver as errors of the store: which server, which role, and what to do. Never a password, and never
//! the value of a row: the server's `DETAIL` is left out.

use std::{error::Error, fmt};

use tokio_postgres::error::SqlState;

use crate::{config::PostgresUrl, input::text, store::StoreError};

/// How a statement ended otherwise than well.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused the statement; the connection is good.
    Refused(tokio_postgres::Error),
    /// The connection is gone.
    Lost(String),
    /// No answer in time. The connection was dropped.
    Silent,
}

impl Fault {
    /// What the driver says, sorted.
    pub(super) fn of(error: tokio_postgres::Error) -> Self {
        let ends = |code: &SqlState| {
            [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN, &SqlState::CANNOT_CONNECT_NOW].contains(&code)
                || code.code() == "25P03"
                || code.code().starts_with("08")
        };
        match error.as_db_error() {
            Some(told) if ends(told.code()) => Fault::Lost(told.message().to_owned()),
            Some(_) => Fault::Refused(error),
            None => Fault::Lost(chain(&error)),
        }
    }

    /// The error, of work on the server of `url`.
    pub(super) fn told(self, url: &PostgresUrl) -> StoreError {
        let who = Who(url);
        StoreError::Failed(match self {
            Fault::Refused(error) => return refused(url, &error),
            Fault::Lost(why) => format!("{who}: the connection is lost ({})", text::shown(&why)),
            Fault::Silent => format!(
                "{who}: no answer within the time of store.statement_timeout: check the server and the network; `SELECT pid, state, \
                 wait_event, query FROM pg_stat_activity` shows what it waits for"
            ),
        })
    }
}

/// Server and role, as errors begin.
struct Who<'a>(&'a PostgresUrl);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} as role {}", self.0.place(), self.0.role())
    }
}

/// A statement that the server refused.
fn refused(url: &PostgresUrl, error: &tokio_postgres::Error) -> StoreError {
    let who = Who(url);
    let code = error.code().map_or("", SqlState::code);
    let message = error.as_db_error().map_or_else(|| error.to_string(), |told| told.message().to_owned());
    let message = text::shown(&message);
    let role = url.role();
    let advice = match code {
        "28P01" | "28000" => {
            format!(
                "the server refuses this role: see store.password, and pg_hba.conf on the server; a new password is set by `ALTER ROLE {role}`"
            )
        }
        "3D000" => {
            "a superuser makes the database with `CREATE DATABASE`; then run docs/examples/postgresql/roles.sql in it"
                .to_owned()
        }
        "42501" => {
            "the role lacks a right: run docs/examples/postgresql/roles.sql in this database as a superuser".to_owned()
        }
        "53300" => {
            "the server has no connection left: lower store.connections, or raise max_connections there".to_owned()
        }
        "53100" => "the server's disk is full: free space there and try again".to_owned(),
        "57014" => {
            "the statement took longer than store.statement_timeout, or was cancelled: nothing was done".to_owned()
        }
        "55P03" | "40P01" | "40001" => "other transactions were in the way: try again".to_owned(),
        "25006" => {
            "this server is read-only, a standby perhaps: name the primary, or all servers with a comma between them"
                .to_owned()
        }
        "26000" | "42P05" => "a pooler in transaction mode is between: set store.statement_cache = false".to_owned(),
        "42P01" | "3F000" | "42703" => "the store's schema is not whole: restore it from a backup".to_owned(),
        "22021" => "the text has a NUL character, which PostgreSQL does not store".to_owned(),
        _ => return StoreError::Failed(format!("{who}: {message} ({code})")),
    };
    StoreError::Failed(format!("{who}: {message} ({code}): {advice}"))
}

/// A commit of which nobody knows whether it happened.
pub(super) fn uncertain(url: &PostgresUrl, why: &str) -> StoreError {
    StoreError::Uncertain(format!("{}: {}", Who(url), text::shown(why)))
}

/// A connection that did not come up.
pub(super) fn connecting(url: &PostgresUrl, error: &tokio_postgres::Error) -> StoreError {
    if error.as_db_error().is_some() {
        return refused(url, error);
    }
    let why = chain(error);
    let advice = if why.contains("password missing") {
        "the server asks for a password: write where it is into store.password"
    } else if why.contains("database does not allow writes") {
        "no server that takes writes is among them: name the primary, too"
    } else if why.contains("certificate") || why.contains("invalid peer") {
        "the server's certificate is refused: see [store.tls] ca, and the names in the certificate"
    } else if why.contains("server does not support TLS") {
        "the server speaks no TLS: set ssl = on there, or write sslmode=disable where something else encrypts"
    } else {
        "see whether the server runs and is reachable from here"
    };
    StoreError::Failed(format!("{}: cannot connect: {}: {advice}", Who(url), text::shown(&why)))
}

/// The error with its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}
