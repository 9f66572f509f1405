//! HTTP over a Unix socket, for commands that ask a server on this machine.

use std::{
    fmt,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with},
};
use ureq::{
    Error,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport},
};

/// How often a full queue is tried again.
const CONNECT_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Connects to this socket and ignores the address of the request.
#[derive(Debug)]
pub(super) struct UnixConnector(pub(super) PathBuf);

pub(super) struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl<In: Transport> Connector<In> for UnixConnector {
    type Out = UnixTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _chained: Option<In>) -> Result<Option<UnixTransport>, Error> {
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        let stream = connect(&self.0, details.timeout.not_zero().map(|limit| *limit))?;
        Ok(Some(UnixTransport { stream, buffers }))
    }
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        self.stream.write_all(&self.buffers.output()[..amount]).map_err(in_time)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let read = self.stream.read(self.buffers.input_append_buf()).map_err(in_time)?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // A command sends one or two requests, each on a connection of its own.
        false
    }
}

/// Connects within this time. A server that accepts nobody has a queue, and who finds it full would wait for as long as
/// it is.
fn connect(path: &Path, limit: Option<Duration>) -> io::Result<UnixStream> {
    let begun = Instant::now();
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, address) =
        (socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?, SocketAddrUnix::new(path)?);
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => break,
            Err(Errno::AGAIN | Errno::INTR) if limit.is_none_or(|limit| begun.elapsed() < limit) => {
                thread::sleep(CONNECT_POLL_INTERVAL);
            }
            Err(error) => return Err(in_time(error.into())),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A socket reports a timeout as `WouldBlock`.
fn in_time(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"),
        _ => error,
    }
}

impl fmt::Debug for UnixTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixTransport").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::net::{bind, listen};

    use super::*;

    #[test]
    fn nobody_waits_longer_for_a_full_queue_than_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("one");
        bind(&listener, &SocketAddrUnix::new(&path).expect("an address")).expect("bound");
        listen(&listener, 1).expect("it listens");
        let listener = UnixListener::from(listener);
        let soon = Some(Duration::from_millis(1));
        // Nobody accepts, until the queue is full.
        let mut queued = Vec::new();
        let error = loop {
            match connect(&path, soon) {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        drop(listener.accept().expect("the first one"));
        connect(&path, Some(Duration::from_secs(30))).expect("there is room again");
        drop((listener, queued));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(connect(&path, soon).expect_err("nobody").kind(), io::ErrorKind::NotFound);
    }
}
