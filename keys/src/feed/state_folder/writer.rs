//! Writing the state down, on a thread of its own: a disk that is full or hangs holds no revocation up.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Journal, StateFolder};

/// A journal that is longer than this, and than half of the state, is replaced by a whole state.
const LONGEST_JOURNAL: u64 = 1 << 20;
/// Messages that may wait for a slow disk, in bytes. More are dropped, and the whole state is written instead.
const MOST_WAITING: usize = 64 << 20;
/// The time until a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What is to be written of a follower's state.
#[derive(Debug, Default)]
pub struct StateWriter {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Arc<[u8]>>,
    bytes: usize,
    /// The messages do not go on from what is on disk.
    whole: bool,
    stop: bool,
}

impl StateWriter {
    /// Adds a message that was applied.
    pub fn add(&self, message: &Arc<[u8]>) {
        let mut waiting = self.lock();
        if waiting.bytes + message.len() > MOST_WAITING {
            waiting.messages.clear();
            (waiting.bytes, waiting.whole) = (0, true);
        } else {
            waiting.messages.push(Arc::clone(message));
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

    /// Writes until it is stopped. `save` gives the whole state, where there is one to go on from; `note` hears whether
    /// it could be written.
    pub fn run(&self, folder: &StateFolder, note: impl Fn(Result<(), String>), save: impl Fn() -> Option<Vec<u8>>) {
        let (mut journal, mut size, mut failed) = (None, 0_u64, false);
        loop {
            let (messages, whole, stop) = self.next(failed);
            let is_long = |journal: &Journal| journal.bytes > LONGEST_JOURNAL.max(size / 2);
            let needs_whole = whole || failed || journal.as_ref().is_none_or(is_long);
            let written = match &mut journal {
                Some(journal) if !needs_whole => {
                    messages.iter().try_for_each(|message| folder.append(journal, message))
                }
                // The state has what the messages say. On the way to the end of a log there is none to go on from.
                _ => save()
                    .map_or(Ok(None), |saved| {
                        size = saved.len() as u64;
                        folder.put(&saved).map(Some)
                    })
                    .map(|new| journal = new),
            };
            failed = written.is_err();
            if failed {
                // Its end may be torn.
                journal = None;
            }
            note(written.map_err(|error| {
                format!("the state cannot be kept ({error}): keys are verified, but after a restart without any source they are not")
            }));
            if stop {
                return;
            }
        }
    }

    /// Waits for work; after a failure for a while alone.
    fn next(&self, failed: bool) -> (Vec<Arc<[u8]>>, bool, bool) {
        let mut waiting = self.lock();
        while waiting.messages.is_empty() && !waiting.whole && !waiting.stop && !failed {
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if failed {
            let idle = |waiting: &mut Waiting| !waiting.stop;
            waiting = match self.wake.wait_timeout_while(waiting, RETRY, idle) {
                Ok((waiting, _)) => waiting,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let taken = std::mem::take(&mut *waiting);
        waiting.stop = taken.stop;
        (taken.messages, taken.whole, taken.stop)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
