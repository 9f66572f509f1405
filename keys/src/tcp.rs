//! TCP connections of the HTTP client. A server that is gone without a word is noticed within [`GONE`], also while the
//! client only waits for an answer: the defaults of Linux take two hours then, and a quarter of an hour where bytes are
//! on their way.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use ureq::{
    Error, Timeout,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport},
};

use crate::interrupt::{self, Interrupt};

/// How long a peer may leave data or a probe unacknowledged.
pub(crate) const GONE: Duration = Duration::from_secs(20);
/// The silence behind which the first probe is sent, and the time between probes.
const FIRST_PROBE: Duration = Duration::from_secs(10);
const NEXT_PROBE: Duration = Duration::from_secs(5);
/// Unanswered probes that end a connection, on systems that do not know [`GONE`].
const PROBES: u32 = 3;

/// Connects by TCP, unless a connector before it, such as a proxy's, has a connection already.
pub(crate) struct TcpConnector(pub(crate) Interrupt);

pub(crate) struct TcpTransport {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, TcpTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(connected) = chained {
            return Ok(Some(Either::A(connected)));
        }
        let limit = details.timeout.not_zero().map(|limit| *limit);
        let stream = connect(&details.addrs, limit, &self.0).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Error::Timeout(Timeout::Connect),
            _ => Error::Io(error),
        })?;
        let stream = Arc::new(stream);
        self.0.watch(&stream)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(TcpTransport { stream, buffers })))
    }
}

/// Connects to the first of the addresses that answers. Each has an equal share of the time that is left.
fn connect(addresses: &[SocketAddr], limit: Option<Duration>, interrupt: &Interrupt) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (at, address) in addresses.iter().enumerate() {
        let rest = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = limit.map(|limit| limit.saturating_sub(begun.elapsed()) / rest);
        // A limit of nothing at all is an error of its own.
        match open(address, share.map(|share| share.max(Duration::from_millis(10))), interrupt) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                notice_lost_peer(&stream)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// How long a connection attempt is waited for before the interrupt is checked again.
#[cfg(any(target_os = "linux", target_os = "android"))]
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Connects to one address, and looks now and then whether that is still wanted.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open(address: &SocketAddr, limit: Option<Duration>, interrupt: &Interrupt) -> io::Result<TcpStream> {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::Errno,
        net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt::socket_error},
    };

    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    let begun = Instant::now();
    match connect(&socket, address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => loop {
            if interrupt.is_stopped() {
                return Err(interrupt::stopped());
            }
            let left = limit.map_or(POLL_INTERVAL, |limit| limit.saturating_sub(begun.elapsed()).min(POLL_INTERVAL));
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break socket_error(&socket)??,
                Err(error) => return Err(error.into()),
            }
        },
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open(address: &SocketAddr, limit: Option<Duration>, interrupt: &Interrupt) -> io::Result<TcpStream> {
    match limit {
        _ if interrupt.is_stopped() => Err(interrupt::stopped()),
        Some(limit) => TcpStream::connect_timeout(address, limit),
        None => TcpStream::connect(address),
    }
}

#[cfg(unix)]
fn notice_lost_peer(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;

    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(not(any(target_os = "haiku", target_os = "nto", target_os = "openbsd")))]
    sockopt::set_tcp_keepidle(stream, FIRST_PROBE)?;
    #[cfg(not(any(target_os = "haiku", target_os = "nto", target_os = "openbsd", target_os = "redox")))]
    {
        sockopt::set_tcp_keepintvl(stream, NEXT_PROBE)?;
        sockopt::set_tcp_keepcnt(stream, PROBES)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    sockopt::set_tcp_user_timeout(stream, u32::try_from(GONE.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

#[cfg(not(unix))]
fn notice_lost_peer(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// The time that is left; an error where it is over.
fn left(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.not_zero() {
        Some(_) if timeout.after.is_zero() => Err(Error::Timeout(timeout.reason)),
        limit => Ok(limit.map(|limit| *limit)),
    }
}

/// A socket reports a time that is over as `WouldBlock`.
fn in_time(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(left(timeout)?)?;
        (&*self.stream).write_all(&self.buffers.output()[..amount]).map_err(|error| in_time(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(left(timeout)?)?;
        let read = loop {
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| in_time(error, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // Nothing may have come that was not asked for, not even an end.
        let quiet = |stream: &TcpStream| {
            stream.set_nonblocking(true)?;
            let read = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            Ok::<_, io::Error>(matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
        };
        quiet(&self.stream).unwrap_or(false)
    }
}

impl fmt::Debug for TcpConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TcpConnector")
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport").field("peer", &self.stream.peer_addr().ok()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_connection_notices_that_its_server_is_gone() {
        use rustix::net::sockopt;

        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream =
            connect(&[server.local_addr().expect("its address")], None, &Interrupt::default()).expect("a connection");
        assert!(sockopt::socket_keepalive(&stream).expect("an option"));
        assert_eq!(sockopt::tcp_keepidle(&stream).expect("an option"), FIRST_PROBE);
        assert_eq!(sockopt::tcp_keepintvl(&stream).expect("an option"), NEXT_PROBE);
        assert_eq!(sockopt::tcp_keepcnt(&stream).expect("an option"), PROBES);
        assert_eq!(sockopt::tcp_user_timeout(&stream).expect("an option"), 20_000);
    }

    #[test]
    fn the_next_address_is_tried_and_the_last_error_is_told() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let open = server.local_addr().expect("its address");
        let interrupt = Interrupt::default();
        let connect = |addresses: &[SocketAddr]| connect(addresses, Some(Duration::from_secs(5)), &interrupt);
        assert_eq!(connect(&[closed, open]).expect("the second").peer_addr().expect("its address"), open);
        assert_eq!(connect(&[closed]).expect_err("nobody").kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect(&[]).expect_err("none").kind(), io::ErrorKind::AddrNotAvailable);
    }
}
