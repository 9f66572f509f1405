//! The connections of a store: some for each kind of work, so that no long count and no queue of writers delays a
//! revocation or a look-up. While the server cannot be reached, calls fail at once between attempts that get rarer.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rand::{TryRng, rngs::SysRng};

use super::{server::Server, session::Session};
use crate::store::StoreError;

/// How old a connection gets: then another server may stand behind the name, or another password count.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);
/// The pause after the first attempt that failed, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Clone, Copy)]
pub(super) enum Lane {
    Write,
    /// Also followers of the feed, who read the same log.
    Read,
    /// Following the log here, and what else must be in force at once.
    Log,
    /// Counts over the whole ledger, which may take seconds.
    Count,
}

pub(super) struct Pool {
    pub(super) server: Arc<Server>,
    lanes: [Connections; 4],
    pause: Mutex<Pause>,
}

struct Connections {
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Session>,
    lent: usize,
}

/// The pause after failed attempts.
struct Pause {
    failures: u32,
    until: Instant,
    why: String,
}

/// A permit for one of the connections of a kind, which is free again when this is dropped.
struct ConnectionPermit<'a>(&'a Connections);

impl Pool {
    /// Room for `most` connections to a server.
    pub(super) fn new(server: Server, most: usize) -> Self {
        let shared = most.saturating_sub(2).max(2);
        let writers = shared / 2;
        let lane = |most| Connections { most, state: Mutex::default(), freed: Condvar::new() };
        Pool {
            server: Arc::new(server),
            lanes: [lane(writers), lane(shared - writers), lane(1), lane(1)],
            pause: Mutex::new(Pause { failures: 0, until: Instant::now(), why: String::new() }),
        }
    }

    /// Lets `work` use a connection; it waits while all of them work. `begin` comes first, and again on another
    /// connection where the first one turns out to be lost: nothing was done then.
    pub(super) fn run<B, T>(
        &self,
        lane: Lane,
        begin: impl Fn(&Session) -> Result<B, StoreError>,
        work: impl FnOnce(&Session, B) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let permit = self.lanes[lane as usize].reserve(self.server.statement_timeout)?;
        let mut session = match permit.idle().filter(Session::is_open) {
            Some(session) => session,
            None => self.connect()?,
        };
        let mut begun = begin(&session);
        if begun.is_err() && session.is_lost() {
            session = self.connect()?;
            begun = begin(&session);
        }
        let done = begun.and_then(|begun| work(&session, begun));
        if session.is_usable() && session.age() < MAX_AGE {
            permit.give_back(session);
        }
        done
    }

    fn connect(&self) -> Result<Session, StoreError> {
        {
            let pause = lock(&self.pause);
            if pause.failures > 0 && Instant::now() < pause.until {
                return Err(StoreError::Failed(pause.why.clone()));
            }
        }
        let connected = Session::connect(&self.server);
        let mut pause = lock(&self.pause);
        match &connected {
            Ok(_) => pause.failures = 0,
            Err(error) => {
                let longest = FIRST_PAUSE.saturating_mul(1 << pause.failures.min(10)).min(LONGEST_PAUSE);
                pause.failures += 1;
                pause.until = Instant::now() + longest.mul_f64(share());
                pause.why = match error {
                    StoreError::Failed(told) => told.clone(),
                    other => other.to_string(),
                };
            }
        }
        connected
    }
}

/// Between a half and one, so that nodes do not come back all at once.
fn share() -> f64 {
    let mut byte = [0; 1];
    // Without chance the pause is the longest.
    let drawn = SysRng.try_fill_bytes(&mut byte).map_or(255, |()| byte[0]);
    0.5 + f64::from(drawn) / 510.0
}

impl Connections {
    /// Waits for a permit.
    fn reserve(&self, limit: Duration) -> Result<ConnectionPermit<'_>, StoreError> {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.state);
        while state.lent >= self.most {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let most = self.most;
                return Err(StoreError::Failed(format!(
                    "all {most} connections for this kind of work were busy for {limit:?}: see what holds them \
                     (pg_stat_activity), or raise store.connections"
                )));
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.lent += 1;
        Ok(ConnectionPermit(self))
    }
}

impl ConnectionPermit<'_> {
    /// A connection that is idle.
    fn idle(&self) -> Option<Session> {
        lock(&self.0.state).idle.pop()
    }

    fn give_back(self, session: Session) {
        lock(&self.0.state).idle.push(session);
    }
}

impl Drop for ConnectionPermit<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).lent -= 1;
        self.0.freed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        path::Path,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::config::{StoreConfig, StoreUrl};

    #[test]
    fn a_server_that_ends_every_connection_is_tried_more_and_more_rarely() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        let config = StoreConfig::at(&format!("postgres://bulla@127.0.0.1:{port}/bulla?sslmode=disable"));
        let Ok(StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
        let pool = Pool::new(Server::new(*url, &config, Path::new("/")).expect("a server"), 4);
        let call = || pool.run(Lane::Read, |_| Ok(()), |_, ()| Ok(())).expect_err("no connection stays");
        for failures in 1..10 {
            let before = Instant::now();
            call();
            assert_eq!(attempts.load(Ordering::SeqCst), failures);
            let pause = lock(&pool.pause).until.saturating_duration_since(before);
            let longest = FIRST_PAUSE.saturating_mul(1 << (failures - 1)).min(LONGEST_PAUSE);
            assert!(pause >= longest / 2, "{pause:?} after {failures}");
            // For as long as it lasts calls fail without a question.
            lock(&pool.pause).until = Instant::now() + Duration::from_secs(3_600);
            for _ in 0..50 {
                call();
            }
            assert_eq!(attempts.load(Ordering::SeqCst), failures, "nobody asks meanwhile");
            lock(&pool.pause).until = Instant::now();
        }
    }
}
