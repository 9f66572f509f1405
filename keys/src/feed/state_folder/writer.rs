//! Writing the state down, on a thread of its own: a disk that is full or hangs holds no revocation up.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{StateFolder, journal::Journal};
use crate::feed::{FeedPlace, FeedState};

/// A journal that is longer than this, and than half of the state, is replaced by a whole state.
const LONGEST_JOURNAL: u64 = 1 << 20;
/// Messages that may wait for a slow disk, in bytes. More are dropped, and the whole state is written instead.
const MAX_WAITING: usize = 64 << 20;
/// The time until a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Interval between looks at whether the path still leads to what was written.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What it means that the state is not on disk.
const CONSEQUENCE: &str = "keys are verified, but after a restart without a source later revocations are unknown";

/// What is to be written of a follower's state.
#[derive(Debug, Default)]
pub struct StateWriter {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    on_disk: Mutex<OnDisk>,
}

#[derive(Debug, Default)]
struct OnDisk {
    place: FeedPlace,
    /// Since when something is being written.
    writing: Option<Instant>,
}

/// A message, and the place that it leads to.
type Placed = (Arc<[u8]>, FeedPlace);

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Placed>,
    bytes: usize,
    /// The messages do not go on from what is on disk.
    whole: bool,
    stop: bool,
}

impl Waiting {
    fn is_any(&self) -> bool {
        self.stop || self.whole || !self.messages.is_empty()
    }
}

impl StateWriter {
    /// A writer of a state that is on disk up to this place.
    #[must_use]
    pub fn going_on_from(place: FeedPlace) -> Self {
        let writer = StateWriter::default();
        writer.on_disk().place = place;
        writer
    }

    /// The place that a restart without any source goes on from: everything up to it is on disk.
    pub fn place(&self) -> FeedPlace {
        self.on_disk().place
    }

    /// How long it has been waiting for the disk; none where it waits for work.
    pub fn writing_for(&self) -> Option<Duration> {
        self.on_disk().writing.map(|since| since.elapsed())
    }

    /// Adds a message that was applied, and led to this place. Messages are added in the order in which they were
    /// applied.
    pub fn add(&self, message: &Arc<[u8]>, place: FeedPlace) {
        let mut waiting = self.lock();
        if waiting.bytes + message.len() > MAX_WAITING {
            waiting.messages.clear();
            (waiting.bytes, waiting.whole) = (0, true);
        } else {
            waiting.messages.push((Arc::clone(message), place));
            waiting.bytes += message.len();
        }
        self.wake.notify_all();
    }

    /// Asks for the whole state.
    pub fn whole(&self) {
        self.lock().whole = true;
        self.wake.notify_all();
    }

    /// Ends the writer, once everything is written.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    /// Writes until it is stopped. `state` gives the whole state; `note` hears whether what was there to write is on
    /// disk, at the folder's path. Where the path leads elsewhere there is no [`place`](Self::place) until the state is
    /// written there.
    pub fn run(&self, folder: &StateFolder, note: impl Fn(Result<(), String>), state: impl Fn() -> Option<FeedState>) {
        let (mut journal, mut size, mut failed) = (None, 0_u64, None);
        let mut lost = None;
        loop {
            let mut work = self.next(failed);
            self.on_disk().writing = Some(Instant::now());
            let mut has_folder = true;
            if let Err(reason) = folder.check_path(journal.as_ref()) {
                journal = None;
                match folder.take_up() {
                    Ok(()) => {
                        work.whole = true;
                        self.lose(&mut lost, reason, &note);
                    }
                    Err(error) => {
                        has_folder = false;
                        self.lose(&mut lost, format!("{reason}; {error}"), &note);
                    }
                }
            }
            // What waits to be written is in the state, which is written once there is a folder.
            if !has_folder || !work.is_any() {
                self.on_disk().writing = None;
                if work.stop {
                    return;
                }
                continue;
            }
            let Waiting { messages, whole, stop, .. } = work;
            let is_long = |journal: &Journal| journal.bytes > LONGEST_JOURNAL.max(size / 2);
            let needs_whole = whole || failed.is_some() || journal.as_ref().is_none_or(is_long);
            let written = match &mut journal {
                Some(journal) if !needs_whole => folder
                    .append(journal, messages.iter().map(|(message, _)| &**message))
                    .map(|()| messages.last().map(|(_, place)| *place)),
                // The state has what the messages say.
                _ => put(folder, state(), &mut size).map(|new| {
                    let (new, place) = new.unzip();
                    journal = new;
                    place
                }),
            };
            // Behind the write: the fleet hears of no place that a restart would not find.
            let still_there = folder.check_path(journal.as_ref());
            let mut on_disk = self.on_disk();
            on_disk.writing = None;
            if let (Ok(Some(place)), Ok(())) = (&written, &still_there) {
                on_disk.place = *place;
            }
            drop(on_disk);
            failed = written.is_err().then(Instant::now);
            if failed.is_some() {
                // Its end may be torn.
                journal = None;
            }
            match (written, still_there) {
                (Err(error), _) => note(Err(format!("the state cannot be kept ({error}): {CONSEQUENCE}"))),
                (Ok(_), Err(reason)) => {
                    journal = None;
                    self.lose(&mut lost, reason, &note);
                    self.whole();
                }
                (Ok(Some(_)), Ok(())) => {
                    lost = None;
                    note(Ok(()));
                }
                // A state on the way to the end of the log is not written, and what was said of the disk still holds.
                (Ok(None), Ok(())) => {}
            }
            if stop {
                return;
            }
        }
    }

    /// Notes that what was written is not at the path any more: a restart would not go on from there.
    fn lose(&self, lost: &mut Option<String>, reason: String, note: &impl Fn(Result<(), String>)) {
        self.on_disk().place = FeedPlace::default();
        if lost.as_ref() != Some(&reason) {
            note(Err(format!("{reason}: until the state is written there, {CONSEQUENCE}")));
            *lost = Some(reason);
        }
    }

    /// Waits for work, or until it is time to look at the path. After a failure there is no work for a while.
    fn next(&self, failed: Option<Instant>) -> Waiting {
        let is_idle = |waiting: &mut Waiting| !waiting.stop && (failed.is_some() || !waiting.is_any());
        let waited = self.wake.wait_timeout_while(self.lock(), LOOK_INTERVAL, is_idle);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        let retries = failed.is_some_and(|since| since.elapsed() >= RETRY);
        if is_idle(&mut waiting) && !retries {
            return Waiting::default();
        }
        let taken = std::mem::take(&mut *waiting);
        waiting.stop = taken.stop;
        Waiting { whole: taken.whole || failed.is_some(), ..taken }
    }

    fn on_disk(&self) -> MutexGuard<'_, OnDisk> {
        self.on_disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a whole state, unless it is still on the way to the end of a log: nothing can go on from such a state.
fn put(folder: &StateFolder, state: Option<FeedState>, size: &mut u64) -> io::Result<Option<(Journal, FeedPlace)>> {
    let Some(state) = state.filter(FeedState::can_save) else { return Ok(None) };
    let (journal, bytes) = folder.put(&state)?;
    *size = bytes;
    Ok(Some((journal, state.place())))
}
