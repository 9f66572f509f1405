//! One memory budget for the bodies of all requests, for long heads over HTTP/2, and for answers over HTTP/2 that their
//! clients do not read, over all listeners, connections and streams. When it is used up, the body that has been on its
//! way longest is evicted, so that slow bodies cost those that are sent at once nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

/// How long a body may take to arrive before it makes room for others.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The budget.
pub(crate) struct BodyBudget {
    most: usize,
    /// Outside the lock, which complete bodies never take.
    used: AtomicUsize,
    state: Mutex<BudgetState>,
}

#[derive(Default)]
struct BudgetState {
    next: u64,
    /// Bodies that have not arrived, or have not been sent, completely; the oldest first.
    under_way: BTreeMap<u64, UnderWay>,
    refused: u64,
}

struct UnderWay {
    since: Instant,
    charged: usize,
    whose: Arc<dyn Evict>,
}

/// What ends a body that is arriving.
pub(crate) trait Evict: Send + Sync {
    fn evict(&self);
}

/// Tells the reader of a body that it is evicted.
#[derive(Default)]
struct Evicted {
    is: AtomicBool,
    reader: AtomicWaker,
}

impl Evict for Evicted {
    fn evict(&self) {
        self.is.store(true, Ordering::Release);
        self.reader.wake();
    }
}

/// What one request takes, until it is answered.
pub(crate) struct Charge {
    budget: Arc<BodyBudget>,
    charged: usize,
    /// Its number among those under way, if it is one of them.
    under_way: Option<u64>,
    evicted: Option<Arc<Evicted>>,
}

/// Why a request gets no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("the memory for bodies is used up")]
    Full,
    #[error("the body took too long to arrive when others needed its memory")]
    Evicted,
}

impl BodyBudget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(BodyBudget { most, used: AtomicUsize::new(0), state: Mutex::default() })
    }

    /// A charge of nothing yet.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { budget: Arc::clone(self), charged: 0, under_way: None, evicted: None }
    }

    /// The charge of an answer of this length, until it is sent. `whose` is evicted where others need its memory.
    pub(crate) fn answer(
        self: &Arc<Self>,
        bytes: usize,
        whose: Arc<dyn Evict>,
        now: Instant,
    ) -> Result<Charge, NoRoom> {
        let mut charge = self.charge();
        charge.take(bytes, false, now)?;
        let mut state = self.state();
        charge.under_way = Some(state.begin(UnderWay { since: now, charged: bytes, whose }));
        drop(state);
        Ok(charge)
    }

    /// How much of it is used.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed) as u64
    }

    /// How many bodies were refused, or evicted.
    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    /// Takes `bytes`, if they are available.
    fn reserve(&self, bytes: usize) -> bool {
        let within = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.most;
        if !within {
            self.give_back(bytes);
        }
        within
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Evicts the body that has been under way longest, except `own`, if that is long enough.
    fn evict_one(&self, state: &mut BudgetState, own: Option<u64>, now: Instant) -> bool {
        let oldest = state.under_way.iter().find(|(number, _)| Some(**number) != own);
        let late = oldest.filter(|(_, one)| now.saturating_duration_since(one.since) >= ON_ITS_WAY);
        let Some(number) = late.map(|(number, _)| *number) else { return false };
        if let Some(body) = state.under_way.remove(&number) {
            self.give_back(body.charged);
            state.refused += 1;
            body.whose.evict();
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    fn begin(&mut self, body: UnderWay) -> u64 {
        self.next += 1;
        self.under_way.insert(self.next, body);
        self.next
    }
}

impl Charge {
    /// Takes `bytes` of the budget for a body that is here as a whole, if that needs nobody's eviction.
    pub(crate) fn take_whole(&mut self, bytes: usize) -> bool {
        let taken = self.under_way.is_none() && self.budget.reserve(bytes);
        if taken {
            self.charged += bytes;
        }
        taken
    }

    /// Takes `bytes` more of the budget at `now`. A body of which `more` is to come may be evicted for others.
    pub(crate) fn take(&mut self, bytes: usize, more: bool, now: Instant) -> Result<(), NoRoom> {
        if !more && self.take_whole(bytes) {
            return Ok(());
        }
        let mut state = self.budget.state();
        let own = self.under_way;
        if own.is_some_and(|own| !state.under_way.contains_key(&own)) {
            return Err(NoRoom::Evicted);
        }
        while !self.budget.reserve(bytes) {
            if !self.budget.evict_one(&mut state, own, now) {
                state.refused += 1;
                return Err(NoRoom::Full);
            }
        }
        self.charged += bytes;
        match own {
            Some(own) if more => {
                if let Some(body) = state.under_way.get_mut(&own) {
                    body.charged = self.charged;
                }
            }
            Some(own) => {
                state.under_way.remove(&own);
                self.under_way = None;
            }
            None if more => {
                let evicted = Arc::<Evicted>::default();
                let whose = Arc::<Evicted>::clone(&evicted);
                self.under_way = Some(state.begin(UnderWay { since: now, charged: self.charged, whose }));
                self.evicted = Some(evicted);
            }
            None => {}
        }
        Ok(())
    }

    /// Returns whether it is evicted; if not, the task is woken when it is.
    pub(crate) fn poll_evicted(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(evicted) = &self.evicted else { return Poll::Pending };
        evicted.reader.register(cx.waker());
        if evicted.is.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        // The memory of an evicted body was given back at its eviction.
        let holds = self.under_way.is_none_or(|number| self.budget.state().under_way.remove(&number).is_some());
        if holds {
            self.budget.give_back(self.charged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unfinished_body_is_evicted_and_no_other() {
        let (budget, begun) = (BodyBudget::new(100), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        let take = |bytes, more, millis| {
            let mut charge = budget.charge();
            charge.take(bytes, more, at(millis)).map(|()| charge)
        };
        let cx = Context::from_waker(std::task::Waker::noop());
        let evicted = |charge: &Charge| charge.poll_evicted(&cx).is_ready();
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
        assert_eq!((budget.used(), budget.refused()), (30 + 40, 4));
        assert_eq!(new.take(10, false, at(9_000)), Ok(()));
        assert_eq!(take(30, true, 9_000).err(), Some(NoRoom::Full), "what is all there makes room for nobody");
        let mut whole = budget.charge();
        assert_eq!((whole.take_whole(21), whole.take_whole(20), whole.take_whole(1)), (false, true, false));
        drop((done, oldest, younger, new, whole));
        assert!(budget.used() == 0 && budget.state().under_way.is_empty());
    }
}
