//! One connection. The thread that waits for an answer also drives the connection, so that no answer goes through
//! another thread; and it waits for a limited time only.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use tokio::{
    runtime::{Builder, Runtime},
    task::{block_in_place, yield_now},
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Connection, Row, Socket, Statement,
    error::{Severity, SqlState},
    types::Type,
};

use super::{
    error::{self, Fault},
    params::Param,
    server::Server,
    tls::Stream,
};
use crate::store::StoreError;

/// How much longer than the server may work on a statement its answer is waited for.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// How long a cancel request may take.
const CANCEL: Duration = Duration::from_secs(1);
/// pgpool sends a read to a standby, which may be behind, unless a comment stands before it.
const NOT_TO_A_STANDBY: &str = "/*NO LOAD BALANCE*/ ";

/// Runs the input and output of one connection on the thread that waits.
struct Driver(Option<Runtime>);

impl Driver {
    fn new() -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| Driver(Some(runtime))).map_err(|error| Self::failed(&error.to_string()))
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let runtime = self.0.as_ref().ok_or_else(|| Self::failed("it is closed"))?;
        // The thread may be one of the service's runtime.
        Ok(block_in_place(|| runtime.block_on(work)))
    }

    fn failed(why: &str) -> StoreError {
        StoreError::Failed(format!("a connection to PostgreSQL: {why}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Waits for nothing, as the thread may be one of the service's runtime.
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// A connection to the server.
pub(super) struct Session {
    driver: Driver,
    client: Client,
    connection: RefCell<Connection<Socket, Stream<Socket>>>,
    server: Arc<Server>,
    statements: RefCell<HashMap<String, Statement>>,
    /// Warnings that the server sent beside its answers.
    warnings: RefCell<Vec<String>>,
    /// Payloads of notifications.
    heard: RefCell<Vec<String>>,
    /// The code of the last refusal.
    refused: RefCell<Option<SqlState>>,
    since: Instant,
    /// How long an answer is waited for.
    limit: Cell<Duration>,
    /// The server ended the connection, or it was lost.
    lost: Cell<bool>,
    /// An answer is owed: nothing more can be asked.
    given_up: Cell<bool>,
}

impl Session {
    /// Connects.
    pub(super) fn connect(server: &Arc<Server>) -> Result<Self, StoreError> {
        let driver = Driver::new()?;
        let config = server.config()?;
        let limit = server.connect_timeout;
        let connecting = async { timeout(limit, config.connect(server.tls.clone())).await };
        let connected = driver.block_on(connecting)?;
        let (client, connection) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(error::connecting(&server.url, &error)),
            Err(_) => {
                return Err(StoreError::Failed(format!(
                    "PostgreSQL {}: no connection within {limit:?} (store.connect_timeout): see whether the server runs and is \
                     reachable from here",
                    server.url.place()
                )));
            }
        };
        let session = Session {
            driver,
            client,
            connection: RefCell::new(connection),
            server: Arc::clone(server),
            statements: RefCell::default(),
            warnings: RefCell::default(),
            heard: RefCell::default(),
            refused: RefCell::default(),
            since: Instant::now(),
            limit: Cell::new(server.statement_timeout + ON_THE_WAY),
            lost: Cell::new(false),
            given_up: Cell::new(false),
        };
        session.check_server()?;
        session.refuse_standby()?;
        Ok(session)
    }

    /// Refuses a server that is too old, or a database in another encoding.
    fn check_server(&self) -> Result<(), StoreError> {
        let connection = self.connection.borrow();
        let place = self.server.url.place();
        let version = connection.parameter("server_version").unwrap_or_default();
        let digits =
            version.split(|one: char| !one.is_ascii_digit()).next().and_then(|major| major.parse::<u32>().ok());
        if digits.is_some_and(|major| major < 15) {
            return Err(StoreError::Failed(format!(
                "PostgreSQL {place} is version {version}: bulla needs 15 or newer"
            )));
        }
        match connection.parameter("server_encoding") {
            Some("UTF8") | None => Ok(()),
            Some(other) => Err(StoreError::Failed(format!(
                "PostgreSQL {place} is encoded in {other}: make the database anew with ENCODING 'UTF8'"
            ))),
        }
    }

    /// Refuses a standby. Of several servers the driver has chosen the one that takes writes.
    fn refuse_standby(&self) -> Result<(), StoreError> {
        if self.only("SELECT pg_is_in_recovery()", &[])?.get(0) {
            return Err(StoreError::Failed(format!(
                "PostgreSQL {}: it is a standby, which takes no write and may be behind: name the primary",
                self.server.url.place()
            )));
        }
        Ok(())
    }

    /// How long it is open.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Returns whether the connection ended.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Returns whether something more can be asked.
    pub(super) fn is_usable(&self) -> bool {
        !self.lost.get() && !self.given_up.get()
    }

    /// Returns whether it is still open, as far as the system knows here.
    pub(super) fn is_open(&self) -> bool {
        let news = async {
            // Lets the system tell first.
            yield_now().await;
            poll_fn(|cx| {
                let _ended = self.poll_connection(cx);
                Poll::Ready(())
            })
            .await;
        };
        self.is_usable() && self.driver.block_on(news).is_ok() && self.is_usable()
    }

    /// The rows of a statement.
    pub(super) fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let sql = format!("{NOT_TO_A_STANDBY}{sql}");
        let Some(statement) = self.prepared(&sql, params)? else {
            return self.ask(self.client.query_typed(&sql, params));
        };
        let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
        self.ask(self.client.query(&statement, &values))
    }

    /// The first row of a statement.
    pub(super) fn first(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params)?.into_iter().next())
    }

    /// The one row of a statement that has one.
    pub(super) fn only(&self, sql: &str, params: &[Param<'_>]) -> Result<Row, StoreError> {
        let row = self.first(sql, params)?;
        row.ok_or_else(|| StoreError::Failed("the store's schema is not whole: restore it from a backup".to_owned()))
    }

    /// Runs a statement; how many rows it touched.
    pub(super) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let Some(statement) = self.prepared(sql, params)? else {
            return self.ask(self.client.execute_typed(sql, params));
        };
        let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
        self.ask(self.client.execute(&statement, &values))
    }

    /// Runs statements without parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.ask(self.client.batch_execute(sql))
    }

    /// Begins a transaction and asks for one row, in one round trip.
    pub(super) fn begin_with(&self, begin: &str, sql: &str) -> Result<Option<Row>, StoreError> {
        self.refused.replace(None);
        let statement = self.prepared(sql, &[])?;
        self.ask(async {
            let row = async {
                match &statement {
                    Some(statement) => self.client.query_opt(statement, &[]).await,
                    None => self.client.query_typed_opt(sql, &[]).await,
                }
            };
            let (begun, row) = join(self.client.batch_execute(begin), row).await;
            begun?;
            row
        })
    }

    /// Runs these statements one after the other, and commits, in one round trip. Where the server refuses one of them,
    /// it commits nothing. Where no answer comes, nobody knows whether it did.
    pub(super) fn commit_with(&self, last: &[(&str, &[Param<'_>])]) -> Result<(), StoreError> {
        // Those that are new to the connection are prepared before anything may have happened.
        let prepared: Vec<_> = last.iter().map(|(sql, params)| self.prepared(sql, params)).collect::<Result<_, _>>()?;
        self.warnings.borrow_mut().clear();
        let committed = self.drive(self.server.statement_timeout + ON_THE_WAY, async {
            // All are sent in this order before the first answer is waited for.
            let statements = last.iter().zip(&prepared).map(|((sql, params), statement)| async move {
                let Some(statement) = statement else { return self.client.execute_typed(sql, params).await };
                let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
                self.client.execute(statement, &values).await
            });
            let (done, committed) = join(join_all(statements), self.client.batch_execute("COMMIT")).await;
            done.into_iter().collect::<Result<Vec<_>, _>>()?;
            committed
        });
        match committed {
            Ok(()) => match self.warnings.take() {
                none if none.is_empty() => Ok(()),
                warnings => Err(error::uncertain(&self.server.url, &warnings.join("; "))),
            },
            Err(Fault::Refused(error)) => Err(self.note(Fault::Refused(error))),
            // Nothing is cancelled: a commit that waits for a standby and is cancelled has happened, without the
            // standby.
            Err(Fault::Lost(why)) => {
                self.lost.set(true);
                Err(error::uncertain(&self.server.url, &format!("the connection was lost during the commit: {why}")))
            }
            Err(Fault::Silent) => {
                self.given_up.set(true);
                Err(error::uncertain(&self.server.url, "the commit was not answered in time; a standby may be gone"))
            }
        }
    }

    /// The payloads of notifications that arrive until the first does, or `limit` has passed.
    pub(super) fn notifications(&self, limit: Duration) -> Result<Vec<String>, StoreError> {
        let first = poll_fn(|_| match self.heard.borrow().is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        });
        match self.drive(limit, first) {
            Ok(()) | Err(Fault::Silent) => Ok(self.heard.take()),
            Err(fault) => Err(self.note(fault)),
        }
    }

    /// Lets `work` ask for what may take longer than a statement usually may.
    pub(super) fn with_limit<T>(&self, limit: Duration, work: impl FnOnce() -> T) -> T {
        let usual = self.limit.replace(limit);
        let done = work();
        self.limit.set(usual);
        done
    }

    /// Undoes the transaction. Where that fails the connection is closed, which undoes it, too.
    pub(super) fn rollback(&self) {
        if self.is_usable() && self.batch("ROLLBACK").is_err() {
            self.given_up.set(true);
        }
    }

    /// Returns whether the server refused a statement since the transaction began: then it commits nothing.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.borrow().is_some()
    }

    /// Returns whether the server refused the last statement because of other transactions.
    pub(super) fn was_in_the_way(&self) -> bool {
        let others = [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE];
        self.refused.borrow_mut().take().is_some_and(|code| others.contains(&&code))
    }

    /// The statement as it was prepared on this connection, where that is wanted.
    fn prepared(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Statement>, StoreError> {
        if !self.server.statement_cache {
            return Ok(None);
        }
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(Some(known.clone()));
        }
        let types: Vec<Type> = params.iter().map(|(_, known)| known.clone()).collect();
        let statement = self.ask(self.client.prepare_typed(sql, &types))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(Some(statement))
    }

    fn ask<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
        self.drive(self.limit.get(), work).map_err(|fault| {
            if matches!(fault, Fault::Silent) {
                self.give_up();
            }
            self.note(fault)
        })
    }

    /// Remembers what a fault means for the connection; the error of it.
    fn note(&self, fault: Fault) -> StoreError {
        match &fault {
            Fault::Lost(_) => self.lost.set(true),
            Fault::Silent => self.given_up.set(true),
            Fault::Refused(error) => {
                self.refused.replace(error.code().cloned());
            }
        }
        fault.told(&self.server.url)
    }

    /// Tells the server to stop, and asks nothing more.
    fn give_up(&self) {
        self.given_up.set(true);
        let cancel = async { timeout(CANCEL, self.client.cancel_token().cancel_query(self.server.tls.clone())).await };
        let _it_may_be_gone = self.driver.block_on(cancel);
    }

    /// Waits for `work`, and reads and writes the connection meanwhile.
    fn drive<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        if !self.is_usable() {
            return Err(Fault::Lost("it ended before".to_owned()));
        }
        let mut work = pin!(work);
        let both = poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done.map_err(Fault::of));
            }
            let end = self.poll_connection(cx);
            match (work.as_mut().poll(cx), end) {
                (Poll::Pending, None) => Poll::Pending,
                (Poll::Ready(done), None) => Poll::Ready(done.map_err(Fault::of)),
                // The last message of the server may be the answer.
                (Poll::Ready(Ok(done)), Some(_)) => Poll::Ready(Ok(done)),
                (_, Some(why)) => Poll::Ready(Err(Fault::Lost(why))),
            }
        });
        match self.driver.block_on(async { timeout(limit, both).await }) {
            Ok(answered) => answered.unwrap_or(Err(Fault::Silent)),
            Err(error) => Err(Fault::Lost(error.to_string())),
        }
    }

    /// Reads and writes what can be; why the connection ended, if it did.
    fn poll_connection(&self, cx: &mut Context<'_>) -> Option<String> {
        loop {
            match self.connection.borrow_mut().poll_message(cx) {
                Poll::Ready(Some(Ok(message))) => self.hear(message),
                Poll::Pending => return None,
                Poll::Ready(end) => {
                    self.lost.set(true);
                    let why = end.map(|end| end.err().map(|error| error::chain(&error)));
                    return Some(why.flatten().unwrap_or_else(|| "the server closed it".to_owned()));
                }
            }
        }
    }

    fn hear(&self, message: AsyncMessage) {
        match message {
            // The other form of the severity is in the language of the server.
            AsyncMessage::Notice(notice) if notice.parsed_severity() == Some(Severity::Warning) => {
                let told = format!("{} ({})", notice.message(), notice.code().code());
                tracing::warn!(warning = told, "PostgreSQL warns");
                self.warnings.borrow_mut().push(told);
            }
            AsyncMessage::Notification(notification) => {
                self.heard.borrow_mut().push(notification.payload().to_owned());
            }
            _ => {}
        }
    }
}
