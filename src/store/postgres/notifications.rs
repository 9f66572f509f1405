//! Learns that another process appended to the revocation log. The database's notifications are a hint; poolers,
//! failovers and logical replicas lose them without a sign. So this process notifies itself by another connection,
//! again and again, and while that does not arrive, the log is polled.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{TryRng, rngs::SysRng};

use super::{
    params::params,
    pool::{Lane, Pool},
    server::Server,
    session::Session,
};
use crate::store::{Remark, StoreError};

/// How often we test that notifications arrive. That keeps the connection alive, too: proxies close one that is silent
/// for 30 s.
const PROVE_INTERVAL: Duration = Duration::from_secs(12);
/// How long a proof may take to arrive.
const PROOF_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a proof counts.
const PROVED_FOR: Duration = Duration::from_secs(20);
/// Grace period before a missing proof is reported.
const START: Duration = Duration::from_secs(5);
/// The log is read this often in any case.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two checks whether the store was closed.
const SLICE: Duration = Duration::from_millis(500);
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest retry delay while the server is unreachable.
const RETRY: Duration = Duration::from_secs(5);
/// Longest retry delay while proofs do not arrive: a pooler that drops notifications goes on doing so, and keeps each
/// LISTEN on one of its connections.
const RETRY_UNPROVED: Duration = Duration::from_secs(60);

const LISTEN: &str = "LISTEN bulla_revocations";
/// Waits for no standby. While a revocation's commit waits for one, it holds a lock that all notifications need.
const PROVE: &str =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify('bulla_revocations', 'proof ' || $1)";

/// Listens until dropped.
pub(super) struct Subscription(Arc<News>);

/// What is known of other processes' appends.
struct News {
    state: Mutex<State>,
    appended: Condvar,
    closed: AtomicBool,
    since: Instant,
}

#[derive(Default)]
struct State {
    /// Another process appended something that was not read yet.
    pending: bool,
    last_read: Option<Instant>,
    proved: Option<Instant>,
    last_error: Option<Unheard>,
}

/// Why no notifications arrive.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    /// The connection failed.
    #[error("the connection that listens for notifications: {0}")]
    Failed(#[from] StoreError),
    /// A notification of our own did not arrive.
    #[error(
        "PostgreSQL's notifications do not arrive: this process sent itself one, and waited {:?} for it. A pooler in transaction mode \
         drops them: name the server itself in store.listen_url",
        PROOF_TIMEOUT
    )]
    Unproved,
}

/// A connection that listens.
struct Listener<'a> {
    session: Session,
    /// Called when another process appended.
    on_append: &'a dyn Fn(),
}

impl Subscription {
    /// Listens on a connection to `server`, on a thread of its own; proofs go by `pool`.
    pub(super) fn new(server: &Arc<Server>, pool: &Arc<Pool>) -> Self {
        let news = Arc::new(News {
            state: Mutex::default(),
            appended: Condvar::new(),
            closed: AtomicBool::new(false),
            since: Instant::now(),
        });
        let (listening, server, pool) = (Arc::clone(&news), Arc::clone(server), Arc::clone(pool));
        thread::spawn(move || listening.run(&server, &pool));
        Subscription(news)
    }

    /// Waits up to `most`. Returns whether to read the log.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let waited = self.0.appended.wait_timeout_while(self.0.state(), most, |state| !state.pending);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let is_due = state.last_read.is_none_or(|read| read.elapsed() >= LOOK_INTERVAL);
        let read = state.pending || is_due || !state.is_proved();
        if read {
            (state.pending, state.last_read) = (false, Some(Instant::now()));
        }
        read
    }

    /// Why the log is polled.
    pub(super) fn why_polling(&self) -> Option<String> {
        let state = self.0.state();
        if state.is_proved() || self.0.since.elapsed() < START {
            return None;
        }
        Some(state.last_error.as_ref().unwrap_or(&Unheard::Unproved).to_string())
    }
}

impl Drop for Subscription {
    /// Ends the thread.
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }
}

impl News {
    fn run(&self, server: &Arc<Server>, pool: &Pool) {
        let mut retry = FIRST_RETRY;
        while !self.is_closed() {
            let begun = Instant::now();
            let error = match self.follow(server, pool) {
                Ok(()) => return,
                Err(error) => error,
            };
            // One that worked for a while is tried again at once.
            if begun.elapsed() > PROVED_FOR {
                retry = FIRST_RETRY;
            }
            let longest = if matches!(error, Unheard::Unproved) { RETRY_UNPROVED } else { RETRY };
            {
                let mut state = self.state();
                (state.proved, state.last_error) = (None, Some(error));
            }
            let until = Instant::now() + retry;
            while Instant::now() < until && !self.is_closed() {
                thread::sleep(SLICE.min(until.saturating_duration_since(Instant::now())));
            }
            retry = (retry * 2).min(longest);
        }
    }

    /// Listens until something is wrong, or the store is closed.
    fn follow(&self, server: &Arc<Server>, pool: &Pool) -> Result<(), Unheard> {
        let on_append = || self.note_append();
        let listener = Listener::open(server, &on_append)?;
        // Notifications from before this are lost.
        self.note_append();
        while !self.is_closed() {
            listener.prove(pool)?;
            {
                let mut state = self.state();
                (state.proved, state.last_error) = (Some(Instant::now()), None);
            }
            let until = Instant::now() + PROVE_INTERVAL;
            while Instant::now() < until && !self.is_closed() {
                listener.hear(SLICE, "")?;
            }
        }
        Ok(())
    }

    fn note_append(&self) {
        self.state().pending = true;
        self.appended.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_proved(&self) -> bool {
        self.proved.is_some_and(|at| at.elapsed() < PROVED_FOR)
    }
}

impl<'a> Listener<'a> {
    fn open(server: &Arc<Server>, on_append: &'a dyn Fn()) -> Result<Self, StoreError> {
        let session = Session::connect(server)?;
        session.batch(LISTEN)?;
        Ok(Listener { session, on_append })
    }

    /// Sends a notification by another connection, and waits for it on this one.
    fn prove(&self, pool: &Pool) -> Result<(), Unheard> {
        let mut token = [0; 8];
        SysRng.try_fill_bytes(&mut token).map_err(|error| StoreError::Failed(error.to_string()))?;
        let token = hex::encode(token);
        pool.run(Lane::Read, |_| Ok(()), |sender, ()| sender.query(PROVE, &params![token]))?;
        let deadline = Instant::now() + PROOF_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.hear(left, &token)? {
                return Ok(());
            }
            if left.is_zero() {
                return Err(Unheard::Unproved);
            }
        }
    }

    /// Listens up to `limit`, or until something arrives. Returns whether the proof with this token arrived.
    fn hear(&self, limit: Duration, token: &str) -> Result<bool, StoreError> {
        let mut proved = false;
        for payload in self.session.notifications(limit)? {
            match payload.strip_prefix("proof ") {
                Some(of) => proved |= of == token,
                None => (self.on_append)(),
            }
        }
        Ok(proved)
    }
}

/// Tests whether notifications arrive now.
pub(super) fn remark(server: &Arc<Server>, pool: &Pool) -> Remark {
    let proved = Listener::open(server, &|| {}).map_err(Unheard::from).and_then(|listener| listener.prove(pool));
    match proved {
        // A pooler in transaction mode lets none arrive, so there is none on this way.
        Ok(()) if server.url == pool.server.url && !pool.server.statement_cache => Remark::good(
            "notifications arrive; store.statement_cache is off, which is for poolers in transaction mode: there is none here, and with \
             `statement_cache = true` twice as many keys a second are issued"
                .to_owned(),
        ),
        Ok(()) => Remark::good("notifications arrive".to_owned()),
        Err(why) => Remark::warning(why.to_string()),
    }
}
