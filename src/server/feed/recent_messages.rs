//! Messages of the feed that were signed a moment ago: thousands of followers that waited at one place, or begin with
//! nothing, get the same one, and the store is read for one of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, Semaphore},
    time::timeout,
};

use super::{Question, Signed};
use crate::server::problem::Problem;

/// The most bytes of one second. Those who begin, at place 0, share their message in any case.
const MAX_BYTES: usize = 16 << 20;
/// The most messages of one second.
const MAX_MESSAGES: usize = 64;
/// Readings at a time, which leave connections of the store to others.
const MAX_READERS: usize = 2;
/// How long a question waits for its turn.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);

/// What a message depends on besides the question: within one second, one place of the log and one keyring it is the
/// same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// In Unix seconds.
    pub(super) now: u64,
    pub(super) place: u64,
    pub(super) keyring_serial: u64,
}

/// A message, or the reading for it that is under way. All who wait for a reading share its failure as well: else they
/// would wait for a store that hangs one after the other.
type Slot = Arc<OnceCell<Result<Arc<Signed>, Problem>>>;

struct Entry {
    slot: Slot,
    /// When the reading began.
    begun: Moment,
    /// The second in which it ended, and the length of the message.
    ended: Option<(u64, usize)>,
}

pub(super) struct RecentMessages {
    all: Mutex<HashMap<Question, Entry>>,
    readers: Semaphore,
}

impl Default for RecentMessages {
    fn default() -> Self {
        RecentMessages { all: Mutex::default(), readers: Semaphore::new(MAX_READERS) }
    }
}

impl RecentMessages {
    /// The message, if there is one of this moment.
    pub(super) fn get(&self, moment: Moment, question: &Question) -> Option<Arc<Signed>> {
        let all = self.lock();
        let entry = all.get(question).filter(|entry| entry.is_about(moment))?;
        entry.ended.filter(|(second, _)| *second == moment.now)?;
        entry.slot.get()?.as_ref().ok().cloned()
    }

    /// The message, or the one that `write` makes: once for all who ask the same, and few at a time.
    pub(super) async fn get_or<W>(
        &self,
        moment: impl Fn() -> Moment,
        question: Question,
        write: impl FnOnce() -> W,
    ) -> Result<Arc<Signed>, Problem>
    where
        W: Future<Output = Result<Arc<Signed>, Problem>>,
    {
        let slot = self.slot(moment(), question);
        let reading = async {
            let written = match timeout(LONGEST_QUEUE, self.readers.acquire()).await {
                Ok(Ok(_permit)) => write().await,
                _ => Err(Problem::unavailable("too many followers read the log of this server at once: ask again")),
            };
            self.note_end(moment().now, question, &slot, &written);
            written
        };
        slot.get_or_init(|| reading).await.clone()
    }

    /// The reading that answers the question at this moment, or a new one.
    fn slot(&self, moment: Moment, question: Question) -> Slot {
        let mut all = self.lock();
        all.retain(|_, entry| match entry.ended {
            Some((second, _)) => second == moment.now,
            // All who waited for it are gone.
            None => Arc::strong_count(&entry.slot) > 1,
        });
        if let Some(entry) = all.get(&question).filter(|entry| entry.is_about(moment)) {
            return Arc::clone(&entry.slot);
        }
        let slot = Slot::default();
        all.insert(question, Entry { slot: Arc::clone(&slot), begun: moment, ended: None });
        slot
    }

    /// Keeps a message for the rest of the second, if there is room.
    fn note_end(&self, second: u64, question: Question, slot: &Slot, written: &Result<Arc<Signed>, Problem>) {
        let mut all = self.lock();
        let lengths = all.values().filter_map(|entry| entry.ended).map(|(_, length)| length);
        let (count, total) = lengths.fold((0, 0), |(count, total), length| (count + 1, total + length));
        let Some(entry) = all.get_mut(&question).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) else { return };
        let has_room = |length: usize| question.after == 0 || (count < MAX_MESSAGES && total + length <= MAX_BYTES);
        match written.as_ref().map(|signed| signed.bytes.len()) {
            Ok(length) if has_room(length) => entry.ended = Some((second, length)),
            _ => {
                all.remove(&question);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Returns whether a reading of this moment would say the same, apart from the time.
    fn is_about(&self, moment: Moment) -> bool {
        (self.begun.place, self.begun.keyring_serial) == (moment.place, moment.keyring_serial)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use bulla::feed::Format;
    use tokio::{join, sync::Notify};

    use super::*;

    const MOMENT: Moment = Moment { now: 7, place: 3, keyring_serial: 1 };

    fn question(after: u64) -> Question {
        Question { format: Format::V2, realm: None, after }
    }

    fn signed(length: usize) -> Result<Arc<Signed>, Problem> {
        Ok(Arc::new(Signed { bytes: vec![0; length].into(), seq: 3 }))
    }

    /// Has a message of this length written, unless there is one already; its length.
    async fn ask(recent: &RecentMessages, moment: Moment, question: Question, length: usize) -> usize {
        let written = recent.get_or(|| moment, question, async || signed(length)).await;
        written.expect("a message").bytes.len()
    }

    #[tokio::test]
    async fn a_message_is_given_again_within_its_moment_alone() {
        let recent = RecentMessages::default();
        assert_eq!(ask(&recent, MOMENT, question(2), 10).await, 10);
        assert_eq!(ask(&recent, MOMENT, question(2), 11).await, 10);
        assert!(recent.get(MOMENT, &question(2)).is_some_and(|signed| signed.bytes.len() == 10));
        assert!(recent.get(MOMENT, &question(1)).is_none());
        assert!(recent.get(MOMENT, &Question { format: Format::V1, ..question(2) }).is_none());
        for (at, other) in
            [Moment { now: 8, ..MOMENT }, Moment { place: 4, ..MOMENT }, Moment { keyring_serial: 2, ..MOMENT }]
                .into_iter()
                .enumerate()
        {
            let recent = RecentMessages::default();
            ask(&recent, MOMENT, question(2), 10).await;
            assert!(recent.get(other, &question(2)).is_none());
            assert_eq!(ask(&recent, other, question(2), 20 + at).await, 20 + at);
        }
    }

    #[tokio::test]
    async fn what_those_who_begin_get_is_shared_whatever_its_length() {
        let recent = RecentMessages::default();
        assert_eq!(ask(&recent, MOMENT, question(5), MAX_BYTES - 1).await, MAX_BYTES - 1);
        assert_eq!(ask(&recent, MOMENT, question(6), 2).await, 2);
        assert!(recent.get(MOMENT, &question(5)).is_some());
        assert!(recent.get(MOMENT, &question(6)).is_none(), "there is no room");
        assert_eq!(ask(&recent, MOMENT, question(0), MAX_BYTES + 1).await, MAX_BYTES + 1);
        assert!(recent.get(MOMENT, &question(0)).is_some());
    }

    #[tokio::test]
    async fn one_reads_for_all_who_ask_the_same_and_a_failure_is_theirs_too() {
        let (recent, read) = (RecentMessages::default(), AtomicUsize::new(0));
        let later = Moment { now: 9, ..MOMENT };
        let write = async || {
            tokio::task::yield_now().await;
            match read.fetch_add(1, SeqCst) {
                0 => Err(Problem::unavailable("the store hangs")),
                _ => signed(1),
            }
        };
        // A reading of an earlier second serves who comes later, as it goes on.
        let both = join!(recent.get_or(|| MOMENT, question(0), write), recent.get_or(|| later, question(0), write));
        assert!(both.0.is_err() && both.1.is_err());
        assert_eq!(read.load(SeqCst), 1);
        assert!(recent.get_or(|| later, question(0), write).await.is_ok(), "a failure is not kept");
        let moved = Moment { place: 4, ..later };
        let both = join!(recent.get_or(|| later, question(1), write), recent.get_or(|| moved, question(1), write));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(read.load(SeqCst), 4, "another place is another question");
    }

    #[tokio::test]
    async fn few_read_at_a_time_and_a_client_that_goes_leaves_its_turn() {
        let (recent, let_go) = (RecentMessages::default(), Notify::new());
        let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let write = async || {
            most.fetch_max(reading.fetch_add(1, SeqCst) + 1, SeqCst);
            let_go.notified().await;
            reading.fetch_sub(1, SeqCst);
            let_go.notify_one();
            signed(1)
        };
        let ask = |after| recent.get_or(|| MOMENT, question(after), write);
        let all = async { join!(ask(1), ask(2), ask(3), ask(4)) };
        let begin = async {
            while reading.load(SeqCst) < MAX_READERS {
                tokio::task::yield_now().await;
            }
            let_go.notify_one();
        };
        let (all, ()) = join!(all, begin);
        assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok());
        assert_eq!(most.load(SeqCst), MAX_READERS);

        let gone = timeout(Duration::ZERO, recent.get_or(|| MOMENT, question(9), std::future::pending)).await;
        assert!(gone.is_err());
        assert_eq!(recent.lock().len(), 5);
        assert_eq!(super::tests::ask(&recent, MOMENT, question(10), 1).await, 1);
        assert!(!recent.lock().contains_key(&question(9)), "nobody waits for it");
    }
}
