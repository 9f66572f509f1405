//! The threads that serve a listener: one for each core, each with a runtime of its own, so that a request is answered
//! by the thread that reads it, and no other one is woken. Each accepts connections for itself, and hands one over
//! where it has more than another one: a gateway with few connections would otherwise keep one core busy and leave the
//! next idle.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::hardening;

/// The threads. They end with this.
pub(in crate::server) struct Workers {
    handles: Vec<Handle>,
    _alive: Vec<oneshot::Sender<()>>,
}

/// The connections of one listener on its workers.
pub(super) struct Seats(Vec<(Handle, Arc<AtomicUsize>)>);

/// A connection's place at a worker.
pub(super) struct Seat {
    taken: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts one for each core that the process may use.
    pub(in crate::server) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let mut workers = Workers { handles: Vec::new(), _alive: Vec::new() };
        for number in 0..count {
            let mut runtime = Builder::new_current_thread();
            let runtime = runtime.enable_all().on_thread_park(hardening::forget_registers).build()?;
            let (alive, ended) = oneshot::channel::<()>();
            workers.handles.push(runtime.handle().clone());
            workers._alive.push(alive);
            thread::Builder::new().name(format!("bulla-data-{number}")).spawn(move || {
                let _dropped = runtime.block_on(ended);
                // Does not wait for tasks that hang.
                runtime.shutdown_background();
            })?;
        }
        Ok(workers)
    }

    /// The threads of the runtime that this is called on.
    pub(in crate::server) fn of_this_runtime() -> Self {
        Workers { handles: vec![Handle::current()], _alive: Vec::new() }
    }

    /// For one listener.
    pub(super) fn seats(&self) -> Seats {
        Seats(self.handles.iter().map(|handle| (handle.clone(), Arc::default())).collect())
    }
}

impl Seats {
    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.0.len()
    }

    /// The runtime of a worker.
    pub(super) fn runtime(&self, worker: usize) -> &Handle {
        &self.0[worker].0
    }

    /// The place of a connection that this worker accepted: with it, or with the one that has fewest, if that has two
    /// less.
    pub(super) fn take(&self, worker: usize) -> (usize, Seat) {
        let count = |at: usize| self.0[at].1.load(Ordering::Relaxed);
        let least = (0..self.0.len()).min_by_key(|at| count(*at)).unwrap_or(worker);
        let chosen = if count(worker) >= count(least) + 2 { least } else { worker };
        let taken = Arc::clone(&self.0[chosen].1);
        taken.fetch_add(1, Ordering::Relaxed);
        (chosen, Seat { taken })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_over_the_workers() {
        let seats = Seats((0..3).map(|_| (Handle::current(), Arc::default())).collect());
        let (places, mut taken): (Vec<_>, Vec<_>) = (0..9).map(|_| seats.take(0)).unzip();
        assert_eq!(places, [0, 0, 1, 2, 0, 1, 2, 0, 1], "wherever they are accepted");
        assert_eq!(seats.take(2).0, 2, "which has no more than one more");
        taken.clear();
        assert_eq!(seats.take(1).0, 1);
    }
}
