//! The bound on slow hashes: a budget of memory, and a bounded queue for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bulla::HashMemory;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for slow hashes, in KiB.
pub(crate) struct Pool {
    budget: Arc<Semaphore>,
    budget_kib: u32,
    waiting: AtomicUsize,
    queue: usize,
    kept: Mutex<Kept>,
}

/// Memory of one size that is not in use: it counts as if it were, because it was.
#[derive(Default)]
struct Kept {
    kib: u32,
    free: Vec<HashMemory>,
}

/// A part of the budget. It goes with the work, so that a client that hangs up frees nothing that is still in use.
pub(crate) struct Share {
    kib: u32,
    _of_the_budget: OwnedSemaphorePermit,
}

/// There is no room, and no room to wait for it.
#[derive(Debug)]
pub(crate) struct Full;

impl Pool {
    pub(crate) fn new(budget_mib: u32, queue: usize) -> Self {
        let budget_kib = budget_mib.saturating_mul(1024);
        Pool {
            budget: Arc::new(Semaphore::new(budget_kib as usize)),
            budget_kib,
            waiting: AtomicUsize::new(0),
            queue,
            kept: Mutex::default(),
        }
    }

    /// Waits for so much of the budget.
    pub(crate) async fn share(&self, kib: u32) -> Result<Share, Full> {
        if kib > self.budget_kib {
            return Err(Full);
        }
        let _place = Place::take(&self.waiting, self.queue).ok_or(Full)?;
        let permit = Arc::clone(&self.budget).acquire_many_owned(kib).await.map_err(|_| Full)?;
        Ok(Share { kib, _of_the_budget: permit })
    }

    /// Runs `work` in the memory of this share, which is kept for the next one.
    pub(crate) fn work<T>(&self, share: &Share, work: impl FnOnce(&mut HashMemory) -> T) -> T {
        let mut memory = self.take(share.kib);
        let done = work(&mut memory);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.kib == share.kib {
            kept.free.push(memory);
        }
        done
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn take(&self, kib: u32) -> HashMemory {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.kib != kib {
            // Of another size: kept, it would come on top of the budget.
            *kept = Kept { kib, free: Vec::new() };
        }
        kept.free.pop().unwrap_or_default()
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let took = waiting.fetch_add(1, Ordering::Relaxed) < most;
        let place = Place(waiting);
        took.then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_is_kept_and_the_queue_is_bounded() {
        let pool = Arc::new(Pool::new(1, 2));
        let first = pool.share(1_024).await.expect("room");
        let wait = |pool: &Arc<Pool>| {
            let pool = Arc::clone(pool);
            tokio::spawn(async move { pool.share(512).await.is_ok() })
        };
        let (one, two) = (wait(&pool), wait(&pool));
        while pool.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(pool.share(1).await.is_err(), "two wait already");
        assert!(pool.share(1_025).await.is_err(), "more than there is");
        drop(first);
        assert!(one.await.expect("done") && two.await.expect("done"));
        assert_eq!(pool.waiting(), 0);
        assert!(pool.share(1_024).await.is_ok());
    }
}
