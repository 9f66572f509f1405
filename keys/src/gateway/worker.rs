//! A thread that may hang in a call which nothing interrupts: a key source, or a disk. It is joined if it ends soon
//! after it was told to, and abandoned otherwise.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub(super) struct Worker {
    thread: JoinHandle<()>,
    /// Nothing is sent. Its other end is dropped when the work ends, also by a panic. Behind a lock, so that a gate can
    /// be shared.
    ended: Mutex<Receiver<()>>,
}

impl Worker {
    pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (works, ended) = mpsc::channel::<()>();
        let run = move || {
            let _works = works;
            work();
        };
        Ok(Worker { thread: thread::Builder::new().name(name.to_owned()).spawn(run)?, ended: Mutex::new(ended) })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Joins the thread if it ends within `most`, and abandons it if it does not: it goes on until its call returns.
    pub(super) fn end_within(self, most: Duration) {
        let ended = self.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !matches!(ended.recv_timeout(most), Err(RecvTimeoutError::Timeout)) {
            let _panicked = self.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[test]
    fn a_worker_is_shared_between_threads() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Worker>();
    }

    #[test]
    fn what_ends_is_joined_and_what_hangs_is_abandoned() {
        let (done, (release, released)) = (Arc::new(AtomicBool::new(false)), mpsc::channel::<()>());
        let shared = Arc::clone(&done);
        let ends = Worker::start("ends", move || shared.store(true, Ordering::Relaxed)).expect("started");
        ends.end_within(Duration::from_secs(600));
        assert!(done.load(Ordering::Relaxed));
        let panics = Worker::start("panics", || panic!("for a test")).expect("started");
        panics.end_within(Duration::from_secs(600));
        // It waits for this thread, which would wait for it.
        let hangs = Worker::start("hangs", move || {
            let _released = released.recv();
        });
        let hangs = hangs.expect("started");
        assert!(!hangs.has_ended());
        hangs.end_within(Duration::from_millis(1));
        drop(release);
    }
}
