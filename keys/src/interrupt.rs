//! Ending what a thread waits for in the network, from another thread.

use std::{
    io,
    net::{Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

/// Ends what its clones wait for: their connections are shut down, and none is opened any more.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    stopping: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    open: Vec<Weak<TcpStream>>,
}

impl Interrupt {
    /// Ends everything, for good.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        for stream in state.open.drain(..).filter_map(|stream| stream.upgrade()) {
            // One that is closed already waits for nothing.
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.0.stopping.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Shuts this connection down as well when it is stopped.
    pub(crate) fn watch(&self, stream: &Arc<TcpStream>) -> io::Result<()> {
        let mut state = self.state();
        if state.stopped {
            return Err(stopped());
        }
        state.open.retain(|stream| stream.strong_count() > 0);
        state.open.push(Arc::downgrade(stream));
        Ok(())
    }

    /// Waits for `pause`, or until it is stopped, which is an error.
    pub(crate) fn pause(&self, pause: Duration) -> io::Result<()> {
        let waited = self.0.stopping.wait_timeout_while(self.state(), pause, |state| !state.stopped);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.stopped { Err(stopped()) } else { Ok(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of what was ended. Not [`io::ErrorKind::Interrupted`], after which readers try again.
pub(crate) fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the client was stopped")
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::TcpListener,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn what_waits_ends_at_once_and_nothing_begins_any_more() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let open = || Arc::new(TcpStream::connect(server.local_addr().expect("its address")).expect("connected"));
        let (interrupt, stream) = (Interrupt::default(), open());
        interrupt.watch(&stream).expect("not stopped");
        interrupt.pause(Duration::ZERO).expect("not stopped");
        let (reading, pausing) = (Arc::clone(&stream), interrupt.clone());
        let reading = thread::spawn(move || (&*reading).read(&mut [0]));
        let pausing = thread::spawn(move || pausing.pause(Duration::from_secs(600)));
        let begun = Instant::now();
        interrupt.stop();
        assert!(pausing.join().expect("no panic").is_err());
        assert_eq!(reading.join().expect("no panic").expect("the end"), 0);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert!(interrupt.watch(&open()).is_err());
    }
}
