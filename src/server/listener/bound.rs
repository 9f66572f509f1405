//! A listening socket, and the loop that accepts its connections.

use std::{
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    time::{Duration, Instant},
};

use hyper_util::server::graceful::GracefulShutdown;
use rustix::fs::Mode;
use tokio::{
    net::{TcpListener, TcpSocket, UnixListener, UnixSocket},
    sync::watch,
};

use super::{Limits, Peer, Service, Stream, Transport, connection, connections::Connections, keepalive};
use crate::{
    config::{Listen, UnixMode},
    telemetry::limit::LineLimit,
};

/// Connections that the kernel queues until they are accepted. If more arrive at once, their clients wait a second before they
/// try again.
const BACKLOG: u32 = 4096;

/// A listener with its port open.
pub(in crate::server) enum Bound {
    None,
    Tcp(TcpListener),
    Unix(UnixListener, std::path::PathBuf),
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
                remove_stale(path).await?;
                let socket = UnixSocket::new_stream()?;
                // Linux creates the file with this mode; elsewhere nothing connects before `listen`.
                let _elsewhere = rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode.0));
                socket.bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode.0))?;
                Ok(Bound::Unix(socket.listen(BACKLOG)?, path.clone()))
            }
        }
    }

    pub(in crate::server) fn address(&self) -> Listen {
        match self {
            Bound::None => Listen::None,
            Bound::Tcp(listener) => listener.local_addr().map_or(Listen::None, Listen::Tcp),
            Bound::Unix(_, path) => Listen::Unix(path.clone()),
        }
    }

    /// Accepts until `stop`, then waits for what is in flight.
    pub(in crate::server) async fn serve(
        self,
        endpoints: impl Service,
        limits: Limits,
        transport: Transport,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) {
        let connections = Connections::new(limits.max_connections, Instant::now());
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let permit = tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => break,
                        permit = connections.permit(|| transport.note_eviction()) => permit,
                    };
                    let Some(permit) = permit else { break };
                    let (endpoints, transport, watcher) = (endpoints.clone(), transport.clone(), graceful.watcher());
                    let (limits, mut stop) = (limits.clone(), stop.clone());
                    tokio::spawn(async move {
                        let secured = tokio::select! {
                            biased;
                            secured = transport.secure(stream, limits.head_timeout) => secured,
                            // A client in its handshake has not sent a request yet.
                            _ = stop.wait_for(|stop| *stop) => None,
                            () = permit.connection.evicted() => None,
                        };
                        if let Some(secured) = secured {
                            connection::serve(secured, permit, peer, endpoints, limits, watcher).await;
                        }
                    });
                }
                Err(error) => {
                    // Usually there are no file descriptors left: to go on at once would only spin.
                    static LINES: LineLimit = LineLimit::new();
                    if let Some(kept_back) = LINES.allow(Instant::now()) {
                        tracing::warn!(%error, kept_back, "cannot accept a connection");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(?grace, "some requests did not finish in time and are dropped");
        }
        if let Bound::Unix(_, path) = &self {
            let _gone_already = std::fs::remove_file(path);
        }
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Bound::None => std::future::pending().await,
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(Some(peer))))
            }
            Bound::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), Peer(None))),
        }
    }
}

/// Removes a socket that no process listens on any more. One in use, and any other file, is left: `bind` then fails.
async fn remove_stale(path: &Path) -> io::Result<()> {
    // A connection to another kind of file is refused, too.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
