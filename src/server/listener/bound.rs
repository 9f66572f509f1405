//! A listening socket, and the loop that accepts its connections.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::fs::Mode;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Limits, Peer, Service, Stream, Transport, Workers, connection,
    connections::{ConnectionPermit, Connections},
    keepalive,
    socket_file::{self, SocketFile},
    workers::Seats,
};
use crate::{
    config::{Listen, UnixMode},
    telemetry::rate_limit::LineLimit,
};

/// Connections that the kernel queues until they are accepted. If more arrive at once, their clients wait a second
/// before they try again.
const BACKLOG: u32 = 4096;

/// A listener with its port open.
pub(in crate::server) enum Bound {
    None,
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Bound {
    pub(in crate::server) async fn bind(listen: &Listen, mode: UnixMode) -> io::Result<Self> {
        match listen {
            Listen::None => Ok(Bound::None),
            Listen::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                // A restart does not wait for the kernel to forget old connections.
                socket.set_reuseaddr(true)?;
                // Connections have the options of the socket that they come from.
                keepalive::notice_lost_clients(&socket)?;
                socket.bind(*address)?;
                Ok(Bound::Tcp(socket.listen(BACKLOG)?))
            }
            Listen::Unix(path) => {
                socket_file::remove_stale(path).await?;
                let socket = UnixSocket::new_stream()?;
                // Linux creates the file with this mode; elsewhere nothing connects before `listen`.
                let _elsewhere = rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode.0));
                socket.bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode.0))?;
                Ok(Bound::Unix(socket.listen(BACKLOG)?, SocketFile::of(path)?))
            }
        }
    }

    pub(in crate::server) fn address(&self) -> Listen {
        match self {
            Bound::None => Listen::None,
            Bound::Tcp(listener) => listener.local_addr().map_or(Listen::None, Listen::Tcp),
            Bound::Unix(_, file) => Listen::Unix(file.path().to_owned()),
        }
    }

    /// Accepts on `workers` until `stop`, then waits for what is in flight.
    pub(in crate::server) async fn serve(
        self,
        endpoints: impl Service,
        limits: Limits,
        transport: Transport,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
        workers: &Workers,
    ) {
        let (closed, connections) = (watch::Sender::new(()), Connections::new(limits.max_connections));
        let seats = workers.seats();
        let accepting =
            Accepting { endpoints, limits, transport, stop: stop.clone(), connections, seats, closed: closed.clone() };
        let (accepting, file) = (Arc::new(accepting), self.file());
        let mut all = JoinSet::new();
        match self.sockets(accepting.seats.workers()) {
            Ok(sockets) => {
                for (worker, socket) in sockets.into_iter().enumerate() {
                    let (accepting, runtime) = (Arc::clone(&accepting), accepting.seats.runtime(worker).clone());
                    all.spawn_on(async move { accepting.accept(worker, socket).await }, &runtime);
                }
            }
            Err(error) => tracing::error!(%error, "cannot listen on every thread"),
        }
        while all.join_next().await.is_some() {}
        {
            let _stopped_or_gone = stop.wait_for(|stop| *stop).await;
        }
        accepting.connections.stop();
        if tokio::time::timeout(grace, closed.closed()).await.is_err() {
            tracing::warn!(?grace, "some requests did not finish in time and are dropped");
        }
        if let Some(file) = file {
            file.remove();
        }
    }

    fn file(&self) -> Option<SocketFile> {
        match self {
            Bound::Unix(_, file) => Some(file.clone()),
            Bound::None | Bound::Tcp(_) => None,
        }
    }

    /// The same socket for each worker.
    fn sockets(self, workers: usize) -> io::Result<Vec<Socket>> {
        let socket = match self {
            Bound::None => return Ok(Vec::new()),
            Bound::Tcp(listener) => Socket::Tcp(listener.into_std()?),
            Bound::Unix(listener, _) => Socket::Unix(listener.into_std()?),
        };
        (0..workers).map(|_| socket.try_clone()).collect()
    }
}

/// A listening socket that is of no runtime.
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Socket::Tcp(listener) => Socket::Tcp(listener.try_clone()?),
            Socket::Unix(listener) => Socket::Unix(listener.try_clone()?),
        })
    }

    /// On the runtime that this is called on.
    fn listener(self) -> io::Result<Listener> {
        Ok(match self {
            Socket::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?),
            Socket::Unix(listener) => Listener::Unix(UnixListener::from_std(listener)?),
        })
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Accepted::Tcp(stream), Peer(Some(peer))))
            }
            Listener::Unix(listener) => Ok((Accepted::Unix(listener.accept().await?.0), Peer(None))),
        }
    }
}

/// A new connection, on the runtime that accepted it or on none.
enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
    LooseTcp(std::net::TcpStream),
    LooseUnix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// Takes it from its runtime.
    fn loosen(self) -> io::Result<Self> {
        Ok(match self {
            Accepted::Tcp(stream) => Accepted::LooseTcp(stream.into_std()?),
            Accepted::Unix(stream) => Accepted::LooseUnix(stream.into_std()?),
            loose => loose,
        })
    }

    /// On the runtime that this is called on.
    fn stream(self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Accepted::Tcp(stream) => Box::new(stream),
            Accepted::Unix(stream) => Box::new(stream),
            Accepted::LooseTcp(stream) => Box::new(TcpStream::from_std(stream)?),
            Accepted::LooseUnix(stream) => Box::new(UnixStream::from_std(stream)?),
        })
    }
}

/// What the workers of one listener share.
struct Accepting<S> {
    endpoints: S,
    limits: Limits,
    transport: Transport,
    stop: watch::Receiver<bool>,
    connections: Arc<Connections>,
    seats: Seats,
    /// Each connection has a receiver of it until it is closed.
    closed: watch::Sender<()>,
}

impl<S: Service> Accepting<S> {
    /// Accepts on one worker until the service stops.
    async fn accept(self: Arc<Self>, worker: usize, socket: Socket) {
        let listener = match socket.listener() {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot listen on a thread"),
        };
        let mut stop = self.stop.clone();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            let accepted = match accepted {
                Ok((accepted, peer)) => {
                    let permit = tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        permit = self.connections.permit(|| self.transport.note_eviction()) => permit,
                    };
                    let Some(permit) = permit else { return };
                    self.seat(worker, accepted, peer, permit)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = accepted {
                // Usually there are no file descriptors left: to go on at once would only spin.
                static LINES: LineLimit = LineLimit::new();
                if let Some(kept_back) = LINES.allow(Instant::now()) {
                    tracing::warn!(%error, kept_back, "cannot accept a connection");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Has a worker serve a connection.
    fn seat(
        self: &Arc<Self>,
        worker: usize,
        accepted: Accepted,
        peer: Peer,
        permit: ConnectionPermit,
    ) -> io::Result<()> {
        let (chosen, seat) = self.seats.take(worker);
        let accepted = if chosen == worker { accepted } else { accepted.loosen()? };
        let (this, closed) = (Arc::clone(self), self.closed.subscribe());
        self.seats.runtime(chosen).spawn(async move {
            if let Ok(stream) = accepted.stream() {
                this.serve(stream, peer, permit).await;
            }
            drop((seat, closed));
        });
        Ok(())
    }

    async fn serve(self: Arc<Self>, stream: Box<dyn Stream>, peer: Peer, permit: ConnectionPermit) {
        let mut stop = self.stop.clone();
        let secured = tokio::select! {
            biased;
            secured = self.transport.secure(stream, self.limits.head_timeout) => secured,
            // A client in its handshake has not sent a request yet.
            _ = stop.wait_for(|stop| *stop) => None,
            () = permit.connection.evicted() => None,
        };
        if let Some(secured) = secured {
            connection::serve(secured, permit, peer, self.endpoints.clone(), self.limits.clone()).await;
        }
    }
}
