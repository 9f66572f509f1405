//! The connections of one listener: a limited number. When all are in use, one without a request is evicted for the
//! next.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::alarm::millis;
use crate::{clock, server::body_budget::Evict};

/// How long a new connection may be silent when others wait.
const SILENT: Duration = Duration::from_secs(1);
/// How long a connection may be idle behind its last answer when others wait. Gateways keep connections for their next
/// request.
const IDLE: Duration = Duration::from_secs(5);
/// How often a new connection that waits looks for one to evict.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The connections that are open.
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<Connection>>,
}

/// The state of one connection. Times are those of the coarse clock.
pub(super) struct Connection {
    opened: u64,
    /// When its last request ended; 0 before the first one.
    answered: AtomicU64,
    /// Requests that are being answered.
    requests: AtomicU32,
    evicted: AtomicBool,
    /// Whether it ends as soon as it is not at work.
    stopping: AtomicBool,
    /// Wakes the task of the connection for these two.
    waker: AtomicWaker,
    /// Whether the client may still be sending when the connection ends.
    unread: AtomicBool,
    /// Whether it has ended, and waits for a client that may still be sending.
    lingering: AtomicBool,
    /// Whether the rest of a body is read behind its answer.
    draining: AtomicBool,
}

/// The kinds of connections that can be evicted, in their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It has ended, and waits for a client that may still be sending.
    Lingering,
    /// It has not asked for anything.
    Silent,
    /// It has been answered.
    Idle,
}

/// A permit for one connection.
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    number: u64,
    pub(super) connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

/// A request in flight.
pub(super) struct InFlight(Arc<Connection>);

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Connections { permits: Arc::new(Semaphore::new(most)), open: Mutex::default() })
    }

    /// Has all that are open end as soon as they are not at work.
    pub(super) fn stop(&self) {
        for connection in self.open().all.values() {
            connection.stopping.store(true, Ordering::Release);
            connection.waker.wake();
        }
    }

    /// Waits for a permit. `evicted` is called for each connection that is evicted for it.
    pub(super) async fn permit(self: &Arc<Self>, evicted: impl Fn()) -> Option<ConnectionPermit> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return Some(self.admit(permit));
            }
            if self.evict_one(clock::coarse_millis()) {
                evicted();
            }
            let waiting = Arc::clone(&self.permits).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(POLL_INTERVAL, waiting).await {
                return Some(self.admit(permit.ok()?));
            }
        }
    }

    fn admit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> ConnectionPermit {
        let connection = Arc::new(Connection {
            opened: clock::coarse_millis(),
            answered: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            evicted: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            unread: AtomicBool::new(false),
            lingering: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        });
        let mut open = self.open();
        open.next += 1;
        let number = open.next;
        open.all.insert(number, Arc::clone(&connection));
        drop(open);
        ConnectionPermit { connections: Arc::clone(self), number, connection, _permit: permit }
    }

    /// Evicts one: one that lingers, or else the one that has been silent longest, or else the one that has been idle
    /// longest.
    fn evict_one(&self, now: u64) -> bool {
        let mut open = self.open();
        let oldest = open.all.iter().filter_map(|(number, one)| one.rank(now).map(|rank| (rank, *number))).min();
        let Some(connection) = oldest.and_then(|(_, number)| open.all.remove(&number)) else { return false };
        connection.evict();
        true
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Notes a request.
    pub(super) fn begin_request(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Waits until it is evicted.
    pub(super) async fn evicted(&self) {
        poll_fn(|cx| {
            self.listen(cx);
            if self.is_evicted() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Wakes this task when the connection is evicted or has to end. One task listens at a time.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Returns whether it ends as soon as it is not at work.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns whether it was evicted.
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    /// Notes that it has ended, and waits for a client that may still be sending.
    pub(super) fn linger(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    /// Notes that the client may still be sending when it ends.
    pub(super) fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Returns whether that was noted.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Notes whether the rest of a body is read behind its answer.
    pub(super) fn drains(&self, drains: bool) {
        self.draining.store(drains, Ordering::Relaxed);
    }

    /// When its last request ended, by the coarse clock; none while something of a request is under way, and before
    /// the first one.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let is_idle = self.requests.load(Ordering::Relaxed) == 0 && !self.draining.load(Ordering::Relaxed);
        Some(self.answered.load(Ordering::Relaxed)).filter(|answered| is_idle && *answered > 0)
    }

    /// Its place in the order of eviction, if it can be evicted at `now`: those that linger go first, then those that
    /// never asked, and of each kind the one that waits longest.
    fn rank(&self, now: u64) -> Option<(Rank, u64)> {
        if self.lingering.load(Ordering::Relaxed) {
            return Some((Rank::Lingering, self.opened));
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let answered = self.answered.load(Ordering::Relaxed);
        let (rank, since, limit) =
            if answered == 0 { (Rank::Silent, self.opened, SILENT) } else { (Rank::Idle, answered, IDLE) };
        (now.saturating_sub(since) >= millis(limit)).then_some((rank, since))
    }
}

/// A connection is evicted for another one, or because its client reads no answers.
impl Evict for Connection {
    fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl InFlight {
    /// The connection of the request.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let connection = &self.0;
        connection.answered.store(clock::coarse_millis().max(1), Ordering::Relaxed);
        connection.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.open().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silent_ones_are_evicted_before_idle_ones_and_working_ones_never() {
        let begun = clock::coarse_millis();
        let connections = Connections::new(3);
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(connections.permit(|| {}).await.expect("room"));
        }
        let at = |seconds: u64| begun + 1_000 * seconds;
        let working = permits[0].connection.begin_request();
        drop(permits[1].connection.begin_request());
        assert!(!connections.evict_one(begun), "all have just come");
        assert!(connections.evict_one(at(2)), "the silent one");
        assert!(!connections.evict_one(at(2)), "the idle one may be a gateway's");
        assert!(connections.evict_one(at(60)));
        assert!(!connections.evict_one(at(60_000)), "the last is at work");
        for evicted in [2, 1] {
            permits[evicted].connection.evicted().await;
        }
        drop(working);
        assert!(connections.evict_one(at(120_000)));
        assert_eq!(connections.permits.available_permits(), 0);
        drop(permits);
        assert_eq!((connections.permits.available_permits(), connections.open().all.len()), (3, 0));
    }

    #[tokio::test]
    async fn lingering_ones_are_evicted_at_once_and_first() {
        let begun = clock::coarse_millis();
        let connections = Connections::new(2);
        let idle = connections.permit(|| {}).await.expect("room");
        let lingering = connections.permit(|| {}).await.expect("room");
        drop(idle.connection.begin_request());
        drop(lingering.connection.begin_request());
        lingering.connection.linger();
        assert!(connections.evict_one(begun), "at any time");
        assert!(lingering.connection.is_evicted() && !idle.connection.is_evicted());
    }
}
