//! The bound on slow hashes: a budget of memory, and a bounded queue for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bulla::secret::HashMemory;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for slow hashes, in KiB.
pub(crate) struct MemoryBudget {
    free: Arc<Semaphore>,
    kib: u32,
    waiting: AtomicUsize,
    queue: usize,
    idle: Mutex<Idle>,
}

/// Memory of one size that is not in use. It still counts, as it was not given back to the system.
#[derive(Default)]
struct Idle {
    kib: u32,
    all: Vec<HashMemory>,
}

/// A part of the budget. It goes with the work, so that a client that hangs up frees nothing that is still in use.
pub(crate) struct Permit {
    kib: u32,
    _of_the_budget: OwnedSemaphorePermit,
}

/// There is no room, and no room to wait for it.
#[derive(Debug)]
pub(crate) struct Full;

impl MemoryBudget {
    pub(crate) fn new(mib: u32, queue: usize) -> Self {
        let kib = mib.saturating_mul(1024);
        MemoryBudget {
            free: Arc::new(Semaphore::new(kib as usize)),
            kib,
            waiting: AtomicUsize::new(0),
            queue,
            idle: Mutex::default(),
        }
    }

    /// Waits for so much of the budget.
    pub(crate) async fn permit(&self, kib: u32) -> Result<Permit, Full> {
        if kib > self.kib {
            return Err(Full);
        }
        let _slot = QueueSlot::take(&self.waiting, self.queue).ok_or(Full)?;
        let permit = Arc::clone(&self.free).acquire_many_owned(kib).await.map_err(|_| Full)?;
        Ok(Permit { kib, _of_the_budget: permit })
    }

    /// Runs `work` in the memory of this permit, which is kept for the next one.
    pub(crate) fn work<T>(&self, permit: &Permit, work: impl FnOnce(&mut HashMemory) -> T) -> T {
        let mut memory = self.take(permit.kib);
        let done = work(&mut memory);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.kib == permit.kib {
            idle.all.push(memory);
        }
        done
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn take(&self, kib: u32) -> HashMemory {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.kib != kib {
            // Of another size: kept, it would come on top of the budget.
            *idle = Idle { kib, all: Vec::new() };
        }
        idle.all.pop().unwrap_or_default()
    }
}

/// A place in the queue, given back when dropped.
struct QueueSlot<'a>(&'a AtomicUsize);

impl<'a> QueueSlot<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let took = waiting.fetch_add(1, Ordering::Relaxed) < max;
        let slot = QueueSlot(waiting);
        took.then_some(slot)
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_is_kept_and_the_queue_is_bounded() {
        let budget = Arc::new(MemoryBudget::new(1, 2));
        let first = budget.permit(1_024).await.expect("room");
        let wait = |budget: &Arc<MemoryBudget>| {
            let budget = Arc::clone(budget);
            tokio::spawn(async move { budget.permit(512).await.is_ok() })
        };
        let (one, two) = (wait(&budget), wait(&budget));
        while budget.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(budget.permit(1).await.is_err(), "two wait already");
        assert!(budget.permit(1_025).await.is_err(), "more than there is");
        drop(first);
        assert!(one.await.expect("done") && two.await.expect("done"));
        assert_eq!(budget.waiting(), 0);
        assert!(budget.permit(1_024).await.is_ok());
    }
}
