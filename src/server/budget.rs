//! One memory budget for the bodies of all requests, over all listeners, connections and streams. Where it is used up the body
//! that has been on its way longest makes room, so that slow bodies cost those that are sent at once nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

/// How long a body may be on its way before it makes room for others.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The budget.
pub(crate) struct Budget {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    next: u64,
    /// Bodies that are not all there, the oldest first.
    reading: BTreeMap<u64, Reading>,
    refused: u64,
}

struct Reading {
    since: Instant,
    charged: usize,
    evicted: Arc<Evicted>,
}

/// Tells the reader of a body to make room.
#[derive(Default)]
struct Evicted {
    is: AtomicBool,
    reader: AtomicWaker,
}

/// What one body takes, for as long as its request is being answered.
pub(crate) struct Share {
    budget: Arc<Budget>,
    charged: usize,
    /// Its number and its sign, once it was found to be on its way.
    reading: Option<(u64, Arc<Evicted>)>,
}

/// Why a body cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("the memory for bodies is used up")]
    Full,
    #[error("the body was on its way for too long when others needed its memory")]
    Evicted,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Budget { most, state: Mutex::default() })
    }

    /// A share with nothing in it.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), charged: 0, reading: None }
    }

    /// How many bodies were refused, or had to make room.
    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the body that has been on its way longest, but for `own`, if that is long enough.
    fn evict_one(&mut self, own: Option<u64>, now: Instant) -> bool {
        let oldest = self.reading.iter().find(|(number, _)| Some(**number) != own);
        let late = oldest.filter(|(_, one)| now.saturating_duration_since(one.since) >= ON_ITS_WAY);
        let Some(number) = late.map(|(number, _)| *number) else { return false };
        if let Some(body) = self.reading.remove(&number) {
            self.used -= body.charged;
            self.refused += 1;
            body.evicted.is.store(true, Ordering::Release);
            body.evicted.reader.wake();
        }
        true
    }
}

impl Share {
    /// Takes so much more of the budget at `now`. A body of which `more` is to come may have to make room for others.
    pub(crate) fn take(&mut self, bytes: usize, more: bool, now: Instant) -> Result<(), NoRoom> {
        let mut state = self.budget.state();
        let own = self.reading.as_ref().map(|(number, _)| *number);
        if own.is_some_and(|own| !state.reading.contains_key(&own)) {
            return Err(NoRoom::Evicted);
        }
        while state.used.saturating_add(bytes) > self.budget.most {
            if !state.evict_one(own, now) {
                state.refused += 1;
                return Err(NoRoom::Full);
            }
        }
        state.used += bytes;
        self.charged += bytes;
        match own {
            Some(own) if more => {
                if let Some(reading) = state.reading.get_mut(&own) {
                    reading.charged = self.charged;
                }
            }
            Some(own) => {
                state.reading.remove(&own);
                self.reading = None;
            }
            None if more => {
                state.next += 1;
                let (number, evicted) = (state.next, Arc::<Evicted>::default());
                let reading = Reading { since: now, charged: self.charged, evicted: Arc::clone(&evicted) };
                state.reading.insert(number, reading);
                self.reading = Some((number, evicted));
            }
            None => {}
        }
        Ok(())
    }

    /// Whether it has to make room; if not, the task is woken when it has to.
    pub(crate) fn poll_evicted(&self, cx: &Context<'_>) -> Poll<()> {
        let Some((_, evicted)) = &self.reading else { return Poll::Pending };
        evicted.reader.register(cx.waker());
        if evicted.is.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        // Of a body that had to make room everything was given back then.
        if self.reading.as_ref().is_none_or(|(number, _)| state.reading.remove(number).is_some()) {
            state.used -= self.charged;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unfinished_body_makes_room_and_no_other() {
        let (budget, begun) = (Budget::new(100), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        let take = |bytes, more, millis| {
            let mut share = budget.share();
            share.take(bytes, more, at(millis)).map(|()| share)
        };
        let cx = Context::from_waker(std::task::Waker::noop());
        let evicted = |share: &Share| share.poll_evicted(&cx).is_ready();
        let done = take(30, false, 0).expect("room");
        let mut oldest = take(40, true, 1).expect("room");
        let younger = take(30, true, 2).expect("room");
        assert_eq!(take(1, true, 900).err(), Some(NoRoom::Full), "none has been on its way for long");
        let mut new = take(20, true, 1_100).expect("room is made");
        assert_eq!([evicted(&oldest), evicted(&younger), evicted(&new)], [true, false, false]);
        assert_eq!(oldest.take(1, false, at(1_100)), Err(NoRoom::Evicted));
        assert_eq!(new.take(20, true, at(1_100)), Ok(()), "the rest of that room");
        assert_eq!(new.take(60, true, at(1_100)), Err(NoRoom::Full), "more than there is beside the finished one");
        assert!(evicted(&younger), "which cost the younger one its room");
        let used = || budget.state().used;
        assert_eq!((used(), budget.refused()), (30 + 40, 4));
        assert_eq!(new.take(10, false, at(9_000)), Ok(()));
        assert_eq!(take(30, true, 9_000).err(), Some(NoRoom::Full), "what is all there makes room for nobody");
        drop((done, oldest, younger, new));
        assert!(used() == 0 && budget.state().reading.is_empty());
    }
}
