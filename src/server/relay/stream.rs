//! The feed of one realm, or of all: where the log ends, the newest message, and what leads there.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::body::Bytes;
use bulla::feed::{FollowError, Format, LogId};
use rand::{TryRng, rngs::SysRng};
use tokio::sync::{Semaphore, watch};

use super::{
    parts::{Part, Parts},
    upstream::{Received, Upstream},
};
use crate::server::blocking;

/// The longest wait that a source is asked for, in seconds. It is how old a message may be that a follower gets after a
/// wait.
const MAX_WAIT: u64 = 10;
/// Questions for parts at a time. The one that waits for news finds room at each source beside them.
const MAX_PARTS: usize = 4;
/// An answer without news that comes sooner was not waited for.
const PROMPT: Duration = Duration::from_millis(500);

/// The newest message: it goes on from the end of the log, and has no events.
#[derive(Clone)]
pub(super) struct Newest {
    pub(super) bytes: Bytes,
    pub(super) log_id: LogId,
    pub(super) seq: u64,
    pub(super) this_update: u64,
    pub(super) format: Format,
    /// How long it counts, and from when.
    pub(super) validity: Duration,
    heard: Instant,
}

impl Newest {
    /// Returns whether it still counts for those who have it already.
    pub(super) fn is_fresh(&self) -> bool {
        self.heard.elapsed() <= self.validity
    }
}

pub(super) struct Stream {
    upstream: Arc<Upstream>,
    newest: watch::Sender<Option<Newest>>,
    parts: Parts,
    asking: Arc<Semaphore>,
    error: Mutex<Option<FollowError>>,
}

impl Stream {
    /// Begins to follow, on a thread of its own, for as long as somebody has the stream.
    pub(super) fn start(upstream: Upstream) -> std::io::Result<Arc<Self>> {
        let stream = Arc::new(Stream {
            upstream: Arc::new(upstream),
            newest: watch::Sender::new(None),
            parts: Parts::default(),
            asking: Arc::new(Semaphore::new(MAX_PARTS)),
            error: Mutex::default(),
        });
        let followed = Arc::downgrade(&stream);
        let follow = move || {
            let mut failures = 0;
            while let Some(stream) = followed.upgrade() {
                let (before, began) = (stream.place(), Instant::now());
                let went_on = stream.follow();
                failures = if went_on.is_ok() { 0 } else { failures + 1 };
                // A source that does not wait for news is not asked more often for that.
                let prompt = failures == 0 && stream.place() == before && began.elapsed() < PROMPT;
                *stream.error.lock().unwrap_or_else(PoisonError::into_inner) = went_on.err();
                drop(stream);
                if failures > 0 {
                    thread::sleep(delay(failures));
                } else if prompt {
                    thread::sleep(PROMPT);
                }
            }
        };
        thread::Builder::new().name("relay".to_owned()).spawn(follow)?;
        Ok(stream)
    }

    /// Tells of each newest message.
    pub(super) fn newest(&self) -> watch::Receiver<Option<Newest>> {
        self.newest.subscribe()
    }

    fn place(&self) -> Option<u64> {
        self.newest.borrow().as_ref().map(|newest| newest.seq)
    }

    /// Why the last question failed, if it did.
    pub(super) fn error(&self) -> Option<FollowError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The message that goes on from a place before the end.
    pub(super) async fn part(&self, log_id: LogId, after: u64, end: u64) -> Result<Part, FollowError> {
        let ask = async || {
            let turn = Arc::clone(&self.asking).acquire_owned().await.map_err(|_| FollowError::Status(503))?;
            let upstream = Arc::clone(&self.upstream);
            let ask = move || {
                let _until_it_is_answered = turn;
                upstream.ask(Some(log_id), after, 0)
            };
            let asked = blocking::run(ask).await;
            let received = asked.map_err(|_| FollowError::Status(503))??;
            Ok(part_of(received))
        };
        self.parts.get(log_id, after, end, ask).await
    }

    /// Waits for news once, and reads on to the end of the log.
    fn follow(&self) -> Result<(), FollowError> {
        let known = self.newest.borrow().clone();
        let (mut place, wait) = match &known {
            Some(newest) => (newest.seq, MAX_WAIT.min(newest.validity.as_secs() / 6).max(1)),
            None => (self.upstream.ask(None, 0, 0)?.head.head, 0),
        };
        let mut received = match self.upstream.ask(known.as_ref().map(|newest| newest.log_id), place, wait) {
            // A node that is behind, or a new log that is not as long yet.
            Err(error) if error.is_behind() => self.begin_another(known.as_ref(), error)?,
            received => received?,
        };
        loop {
            let Received { bytes, head } = received;
            if head.seq == head.after {
                let newest = Newest {
                    bytes,
                    log_id: head.log_id,
                    seq: head.seq,
                    this_update: head.this_update,
                    format: head.format,
                    validity: Duration::from_secs(head.next_update - head.this_update),
                    heard: Instant::now(),
                };
                self.newest.send_replace(Some(newest));
                return Ok(());
            }
            let (log_id, after) = (head.log_id, head.after);
            place = head.seq;
            self.parts.put(log_id, after, part_of(Received { bytes, head }));
            received = self.upstream.ask(Some(log_id), place, 0)?;
        }
    }

    /// The end of a log that is another one than before; else the error.
    fn begin_another(&self, known: Option<&Newest>, error: FollowError) -> Result<Received, FollowError> {
        let first = self.upstream.ask(None, 0, 0)?.head;
        if known.is_some_and(|known| known.log_id == first.log_id) {
            return Err(error);
        }
        self.upstream.ask(Some(first.log_id), first.head, 0)
    }
}

fn part_of(Received { bytes, head }: Received) -> Part {
    Part { bytes, format: head.format, seq: head.seq, is_end: head.seq == head.head }
}

/// From half a second up to half a minute, with full jitter.
fn delay(failures: u32) -> Duration {
    let most = Duration::from_millis(500).saturating_mul(1 << failures.min(7)).min(Duration::from_secs(30));
    let random = SysRng.try_next_u32().unwrap_or(u32::MAX / 2);
    Duration::from_millis(100) + most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
