//! Last use and use count of each API key: noted on the verify path, counted off it.
//!
//! A note is appended to a buffer behind a lock that is tried and never waited for. A collector swaps the buffers and
//! counts; a flush takes the counts. A ring of one writer (`rtrb`) for every thread is cheaper in one build and dearer
//! in the next (docs/PERFORMANCE.md), and must be allotted in full, told apart from the rings of another `LastUsed`,
//! and given back when its thread ends. Buffers belong to nobody: threads come and go without a trace, and memory
//! follows what is noted.

mod buffers;
mod tally;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bulla::ApiKeyId;

use self::{
    buffers::{Buffers, Note},
    tally::Tally,
};

pub(crate) use self::tally::Use;

/// The uses of API keys since the last flush. Shared by all threads; holds ids, never an API key.
///
/// A crash loses what is in memory: at most the uses noted since the last `take`.
pub(crate) struct LastUsed {
    buffers: Buffers,
    counted: Mutex<Counted>,
    dropped: AtomicU64,
}

/// What the collector has counted, and the buffer it swaps in next.
struct Counted {
    tally: Tally,
    spare: Vec<Note>,
}

impl LastUsed {
    /// Counts at most `ids` distinct ids between two flushes. Each takes up to 76 bytes, and 65 more while the batch
    /// before is with the store.
    pub(crate) fn new(ids: usize) -> Self {
        let counted = Counted { tally: Tally::new(ids), spare: Vec::new() };
        LastUsed { buffers: Buffers::new(), counted: Mutex::new(counted), dropped: AtomicU64::new(0) }
    }

    /// Notes that the key was accepted at `now`, in Unix seconds. Waits for nobody: a note that finds no room is
    /// dropped.
    #[inline]
    pub(crate) fn note(&self, id: ApiKeyId, now: u64) {
        if !self.buffers.push(Note { id, at: now }) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the notes. Called some ten times a second, on a thread that may work for a while. In between each buffer
    /// has room for 65,536 notes, and a busy thread comes to have one to itself.
    pub(crate) fn collect(&self) {
        drop(self.collected());
    }

    /// The uses until now, each id once and in no order, for the store. Counting restarts.
    pub(crate) fn take(&self) -> Vec<Use> {
        self.collected().tally.take()
    }

    /// Returns a batch that the store refused to the next one. The later time of use wins, and counts add up; ids
    /// beyond the bound are dropped.
    pub(crate) fn put_back(&self, uses: Vec<Use>) {
        let mut counted = self.counted();
        for one in uses {
            self.count(&mut counted.tally, one);
        }
    }

    /// How many ids were counted and not taken.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.collected().tally.len()
    }

    /// Uses that were not recorded since the start: a buffer was full, or the ids exceeded the bound.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn collected(&self) -> MutexGuard<'_, Counted> {
        let mut counted = self.counted();
        let Counted { tally, spare } = &mut *counted;
        self.buffers.drain(spare, |Note { id, at }| self.count(tally, Use { id, last_used: at, count: 1 }));
        counted
    }

    fn count(&self, tally: &mut Tally, one: Use) {
        if !tally.add(one) {
            self.dropped.fetch_add(one.count, Ordering::Relaxed);
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, thread};

    use super::*;

    fn id(number: usize) -> ApiKeyId {
        format!("live_00000X{number:016}").parse().expect("an id")
    }

    fn by_id(mut uses: Vec<Use>) -> Vec<(ApiKeyId, u64, u64)> {
        uses.sort_by_key(|one| one.id);
        uses.iter().map(|one| (one.id, one.last_used, one.count)).collect()
    }

    #[test]
    fn uses_of_several_threads_add_up_and_the_latest_wins() {
        let used = LastUsed::new(1_000);
        let done = AtomicBool::new(false);
        let mut batches = Vec::new();
        thread::scope(|scope| {
            // One collector beside them, which flushes in between.
            let collector = scope.spawn(|| {
                let mut batches = Vec::new();
                while !done.load(Ordering::Acquire) {
                    used.collect();
                    batches.push(used.take());
                }
                batches
            });
            // All notes have room in one buffer, so that none depends on when the collector runs.
            let noting = [0, 1, 2, 3].map(|thread| {
                let used = &used;
                scope.spawn(move || (0..12_000).for_each(|at| used.note(id(at % 100), (at * 4 + thread) as u64)))
            });
            for thread in noting {
                thread.join().expect("noted");
            }
            done.store(true, Ordering::Release);
            batches = collector.join().expect("collected");
        });
        let all = LastUsed::new(1_000);
        batches.into_iter().for_each(|batch| all.put_back(batch));
        all.put_back(used.take());
        let expected: Vec<_> = (0..100).map(|at| (id(at), ((11_900 + at) * 4 + 3) as u64, 480)).collect();
        assert_eq!(by_id(all.take()), expected);
        assert_eq!((used.dropped(), all.dropped()), (0, 0));
    }

    #[test]
    fn what_an_ended_thread_noted_is_collected() {
        let used = LastUsed::new(1_000);
        for at in 0..300 {
            thread::scope(|scope| scope.spawn(|| used.note(id(at), 7)).join().expect("noted"));
        }
        assert_eq!(by_id(used.take()), (0..300).map(|at| (id(at), 7, 1)).collect::<Vec<_>>());
    }

    #[test]
    fn beyond_the_bound_known_ids_are_updated_and_new_ones_dropped() {
        let used = LastUsed::new(2);
        for (number, now) in [(1, 10), (2, 11), (3, 12), (1, 13), (4, 14)] {
            used.note(id(number), now);
        }
        used.collect();
        assert_eq!(used.dropped(), 2);
        assert_eq!(by_id(used.take()), [(id(1), 13, 2), (id(2), 11, 1)]);
        used.note(id(3), 15);
        assert_eq!(by_id(used.take()), [(id(3), 15, 1)], "a flush makes room");
        assert_eq!(used.dropped(), 2);
    }

    #[test]
    fn a_refused_batch_is_merged_into_the_next_one() {
        let used = LastUsed::new(2);
        let of = |number, last_used, count| Use { id: id(number), last_used, count };
        used.note(id(1), 20);
        used.put_back(vec![of(1, 10, 5), of(2, 30, 7), of(3, 40, 9)]);
        used.note(id(2), 25);
        assert_eq!(used.dropped(), 9, "each use counts");
        assert_eq!(by_id(used.take()), [(id(1), 20, 6), (id(2), 30, 8)]);
        assert!(used.take().is_empty());
    }

    #[test]
    fn a_clock_that_goes_backwards_does_not() {
        let used = LastUsed::new(2);
        [5, 9, 3].into_iter().for_each(|now| used.note(id(1), now));
        assert_eq!(by_id(used.take()), [(id(1), 9, 3)]);
    }

    #[test]
    fn nothing_waits_for_a_collector() {
        let used = LastUsed::new(2);
        let busy = used.counted();
        (0..buffers::ROOM + 3).for_each(|_| used.note(id(1), 1));
        drop(busy);
        assert_eq!(used.dropped(), 3);
        assert_eq!(by_id(used.take()), [(id(1), 1, buffers::ROOM as u64)]);
        used.note(id(1), 2);
        assert_eq!((used.dropped(), by_id(used.take())), (3, vec![(id(1), 2, 1)]), "there is room again");
    }
}
