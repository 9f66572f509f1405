//! The feed of one realm, or of all: where the log ends, the newest message, and what leads there.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use axum::body::Bytes;
use bulla::feed::{FeedError, FollowError, Format, Head, LogId, Question, backoff};
use rand::{TryRng, rngs::SysRng};
use tokio::sync::{Semaphore, watch};

use super::{
    logs::Logs,
    parts::{Part, Parts},
    upstream::{Received, Upstream, is_refusal},
};
use crate::{clock, server::blocking};

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
    /// The newest keyring that a message of this log named.
    pub(super) keyring_serial: u64,
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

    /// Returns whether a follower that has seen this much has something to fetch.
    pub(super) fn is_news(&self, seen: FollowerPlace) -> bool {
        self.log_id != seen.log_id || self.seq > seen.seq || self.keyring_serial > seen.keyring_serial
    }
}

/// What a follower that waits has seen. A compromised version is news, too, and the log says nothing of it.
#[derive(Clone, Copy)]
pub(super) struct FollowerPlace {
    pub(super) log_id: LogId,
    pub(super) seq: u64,
    pub(super) keyring_serial: u64,
}

pub(super) struct Stream {
    upstream: Arc<Upstream>,
    newest: watch::Sender<Option<Newest>>,
    parts: Parts,
    asking: Arc<Semaphore>,
    logs: Mutex<Logs>,
    /// Why the last question failed, if it did.
    error: watch::Sender<Option<FollowError>>,
    read_at: Mutex<Instant>,
    /// Goes with the stream, and tells its thread.
    _alive: mpsc::Sender<Infallible>,
}

impl Stream {
    /// A stream, and what tells of its end.
    fn new(upstream: Upstream) -> (Self, mpsc::Receiver<Infallible>) {
        let (alive, ended) = mpsc::channel();
        let stream = Stream {
            upstream: Arc::new(upstream),
            newest: watch::Sender::new(None),
            parts: Parts::default(),
            asking: Arc::new(Semaphore::new(MAX_PARTS)),
            logs: Mutex::default(),
            error: watch::Sender::new(None),
            read_at: Mutex::new(Instant::now()),
            _alive: alive,
        };
        (stream, ended)
    }

    /// Begins to follow, on a thread of its own, for as long as somebody has the stream.
    pub(super) fn start(upstream: Upstream) -> std::io::Result<Arc<Self>> {
        let (stream, ended) = Self::new(upstream);
        let stream = Arc::new(stream);
        let followed = Arc::downgrade(&stream);
        let follow = move || {
            let mut failures = 0;
            while let Some(stream) = followed.upgrade() {
                let (before, began) = (stream.place(), Instant::now());
                let error = stream.follow().err();
                failures = if error.is_none() { 0 } else { failures + 1 };
                // A source that does not wait for news is not asked more often for that.
                let prompt = error.is_none() && stream.place() == before && began.elapsed() < PROMPT;
                let pause = if prompt { PROMPT } else { delay(error.as_ref(), failures, drawn()) };
                stream.error.send_replace(error);
                drop(stream);
                // It ends at once with the stream: a flood of realms that a source refuses leaves no threads behind.
                if matches!(ended.recv_timeout(pause), Err(mpsc::RecvTimeoutError::Disconnected)) {
                    return;
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

    /// The newest message once there is one, or the error by which the sources refuse the question.
    pub(super) async fn first(&self) -> Result<Newest, FollowError> {
        self.note_read();
        let (mut newest, mut error) = (self.newest(), self.error.subscribe());
        let found = tokio::select! {
            biased;
            newest = newest.wait_for(Option::is_some) => newest.ok().and_then(|newest| newest.clone()).map(Ok),
            error = error.wait_for(|error| error.as_ref().is_some_and(is_refusal)) => {
                error.ok().and_then(|error| error.clone()).map(Err)
            }
        };
        found.unwrap_or(Err(FollowError::Status(503)))
    }

    pub(super) fn has_message(&self) -> bool {
        self.newest.borrow().is_some()
    }

    /// Returns whether the sources refuse the question, and no message counts any more.
    pub(super) fn is_refused(&self) -> bool {
        let counts = self.newest.borrow().as_ref().is_some_and(Newest::is_fresh);
        !counts && self.error.borrow().as_ref().is_some_and(is_refusal)
    }

    /// Notes that somebody reads it.
    pub(super) fn note_read(&self) {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nobody has read it.
    pub(super) fn unread_for(&self) -> Duration {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn place(&self) -> Option<u64> {
        self.newest.borrow().as_ref().map(|newest| newest.seq)
    }

    /// Why the last question failed, if it did.
    fn error(&self) -> Option<FollowError> {
        self.error.borrow().clone()
    }

    /// What does not work: the last question failed, or a source offers a log that was left.
    pub(super) fn trouble(&self) -> Option<String> {
        self.logs().trouble().or_else(|| self.error().map(|error| error.to_string()))
    }

    /// The message that goes on from a place before the end.
    pub(super) async fn part(&self, log_id: LogId, after: u64, end: u64) -> Result<Part, FollowError> {
        let ask = async || {
            let turn = Arc::clone(&self.asking).acquire_owned().await.map_err(|_| FollowError::Status(503))?;
            let upstream = Arc::clone(&self.upstream);
            let ask = move || {
                let _until_it_is_answered = turn;
                upstream.ask(Question { after, log_id: Some(log_id), wait: 0 }, |head| is_of(log_id, head))
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
        let known = known.as_ref();
        let mut received = match known {
            Some(newest) => {
                let wait = MAX_WAIT.min(newest.validity.as_secs() / 6).max(1);
                let question = Question { after: newest.seq, log_id: Some(newest.log_id), wait };
                match self.upstream.ask(question, |head| self.check(head, known)) {
                    // A node that is behind, or a new log that is not as long yet.
                    Err(error) if error.is_behind() => self.begin(known, Some(error))?,
                    received => received?,
                }
            }
            None => self.begin(None, None)?,
        };
        loop {
            let Received { bytes, head } = received;
            if head.seq == head.after {
                self.note_newest(known, bytes, &head);
                return Ok(());
            }
            let (log_id, after, place) = (head.log_id, head.after, head.seq);
            self.parts.put(log_id, after, part_of(Received { bytes, head }));
            received = self.go_on(known, log_id, place)?;
        }
    }

    /// The end of a log. After an error it is the end of another log than before; else there is none to follow.
    fn begin(&self, known: Option<&Newest>, error: Option<FollowError>) -> Result<Received, FollowError> {
        let question = Question { after: 0, log_id: None, wait: 0 };
        let first = self.upstream.ask(question, |head| self.check(head, known))?.head;
        match error {
            Some(error) if known.is_some_and(|known| known.log_id == first.log_id) => Err(error),
            _ => self.go_on(known, first.log_id, first.head),
        }
    }

    /// The message of this log that goes on from a place.
    fn go_on(&self, known: Option<&Newest>, log_id: LogId, after: u64) -> Result<Received, FollowError> {
        let question = Question { after, log_id: Some(log_id), wait: 0 };
        self.upstream.ask(question, |head| is_of(log_id, head).and_then(|()| self.check(head, known)))
    }

    fn check(&self, head: &Head, known: Option<&Newest>) -> Result<(), FeedError> {
        self.logs().check(head, known, clock::now_seconds())
    }

    fn note_newest(&self, known: Option<&Newest>, bytes: Bytes, head: &Head) {
        if let Some(known) = known.filter(|known| known.log_id != head.log_id) {
            tracing::warn!(left = %known.log_id, log_id = %head.log_id, "relay goes over to another log");
            self.logs().leave(known.log_id);
        }
        // Nodes load a keyring one after another: one that has not yet is no news.
        let before = known.filter(|known| known.log_id == head.log_id).map_or(0, |known| known.keyring_serial);
        if head.keyring_serial > before {
            self.parts.forget_ends();
        }
        self.newest.send_replace(Some(Newest {
            bytes,
            log_id: head.log_id,
            seq: head.seq,
            this_update: head.this_update,
            keyring_serial: head.keyring_serial.max(before),
            format: head.format,
            validity: Duration::from_secs(head.next_update - head.this_update),
            heard: Instant::now(),
        }));
    }

    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(log_id: LogId, head: &Head) -> Result<(), FeedError> {
    if head.log_id == log_id { Ok(()) } else { Err(FeedError::OtherLog { found: head.log_id, expected: log_id }) }
}

fn part_of(Received { bytes, head }: Received) -> Part {
    Part { bytes, format: head.format, seq: head.seq, is_end: head.seq == head.head }
}

/// The delay before the next question after so many failures in a row: that of every follower.
fn delay(error: Option<&FollowError>, failures: u32, random: u32) -> Duration {
    match error {
        None => Duration::ZERO,
        Some(error) if error.is_behind() => backoff::if_behind(random),
        Some(_) => backoff::after_failures(failures, random),
    }
}

/// A number that each relay draws for itself.
fn drawn() -> u32 {
    SysRng.try_next_u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests;
