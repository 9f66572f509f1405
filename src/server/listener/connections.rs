//! The connections of one listener: so many at a time. Where all are in use, one that asks for nothing makes room.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::server::budget::MakeRoom;

/// How long a new connection may say nothing when others wait.
const SILENT: Duration = Duration::from_secs(1);
/// How long one that was answered may ask for nothing more when others wait. Gateways keep connections for their next request.
const IDLE: Duration = Duration::from_secs(5);
/// How often it is looked whether one makes room.
const LOOK: Duration = Duration::from_millis(100);

/// Those that are open.
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    begun: Instant,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<Connection>>,
}

/// What is known of one of them.
pub(super) struct Connection {
    opened: u64,
    /// When its last request ended, in milliseconds of the listener; 0 before the first one.
    answered: AtomicU64,
    /// Requests that are being answered.
    requests: AtomicU32,
    evicted: Notify,
    /// Whether the client may still be sending what nobody reads when it ends.
    unread: AtomicBool,
    /// The listener's clock.
    begun: Instant,
}

/// Room for one connection, which it gives back when it is dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub(super) connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

/// A request that is being answered.
pub(super) struct Asking(Arc<Connection>);

impl Connections {
    pub(super) fn new(most: usize, now: Instant) -> Arc<Self> {
        Arc::new(Connections { permits: Arc::new(Semaphore::new(most)), begun: now, open: Mutex::default() })
    }

    /// Waits for room. `evicted` hears of each connection that makes some.
    pub(super) async fn place(self: &Arc<Self>, evicted: impl Fn()) -> Option<Place> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return Some(self.admit(permit));
            }
            if self.evict_one(Instant::now()) {
                evicted();
            }
            let waiting = Arc::clone(&self.permits).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(LOOK, waiting).await {
                return Some(self.admit(permit.ok()?));
            }
        }
    }

    fn admit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let connection = Arc::new(Connection {
            opened: self.at(Instant::now()),
            answered: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            evicted: Notify::new(),
            unread: AtomicBool::new(false),
            begun: self.begun,
        });
        let mut open = self.open();
        open.next += 1;
        let number = open.next;
        open.all.insert(number, Arc::clone(&connection));
        drop(open);
        Place { connections: Arc::clone(self), number, connection, _permit: permit }
    }

    /// Closes the one that has been silent longest, or else the one that has been idle longest.
    fn evict_one(&self, now: Instant) -> bool {
        let now = self.at(now);
        let mut open = self.open();
        let oldest = open.all.iter().filter_map(|(number, one)| one.is_spare(now).map(|rank| (rank, *number))).min();
        let Some(connection) = oldest.and_then(|(_, number)| open.all.remove(&number)) else { return false };
        connection.evicted.notify_one();
        true
    }

    fn at(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.begun))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Notes a request.
    pub(super) fn asks(self: &Arc<Self>) -> Asking {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Asking(Arc::clone(self))
    }

    /// Waits until it has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Notes that the client may still be sending when it ends.
    pub(super) fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether that was noted.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Whether it can make room at `now`: those that never asked go first, and of each kind the one that waits longest.
    fn is_spare(&self, now: u64) -> Option<(bool, u64)> {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let answered = self.answered.load(Ordering::Relaxed);
        let (since, patience) = if answered == 0 { (self.opened, SILENT) } else { (answered, IDLE) };
        (now.saturating_sub(since) >= millis(patience)).then_some((answered != 0, since))
    }
}

/// Its client reads no answers.
impl MakeRoom for Connection {
    fn make_room(&self) {
        self.evicted.notify_one();
    }
}

impl Asking {
    /// The connection it came on.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let connection = &self.0;
        let now = millis(connection.begun.elapsed());
        connection.answered.store(now.max(1), Ordering::Relaxed);
        connection.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().all.remove(&self.number);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_silent_make_room_before_the_idle_and_those_at_work_never() {
        let begun = Instant::now();
        let connections = Connections::new(3, begun);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(connections.place(|| {}).await.expect("room"));
        }
        let at = |seconds| begun + Duration::from_secs(seconds);
        let working = places[0].connection.asks();
        drop(places[1].connection.asks());
        assert!(!connections.evict_one(begun), "all have just come");
        assert!(connections.evict_one(at(2)), "the silent one");
        assert!(!connections.evict_one(at(2)), "the idle one may be a gateway's");
        assert!(connections.evict_one(at(60)));
        assert!(!connections.evict_one(at(60_000)), "the last is at work");
        for evicted in [2, 1] {
            places[evicted].connection.evicted().await;
        }
        drop(working);
        assert!(connections.evict_one(at(120_000)));
        assert_eq!(connections.permits.available_permits(), 0);
        drop(places);
        assert_eq!((connections.permits.available_permits(), connections.open().all.len()), (3, 0));
    }
}
