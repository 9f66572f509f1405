//! Listeners: TCP or Unix sockets, HTTP/1.1 and HTTP/2, with limits on heads, time and connections.

use std::{
    convert::Infallible, io, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{Semaphore, watch},
};
use tower::ServiceExt;

use super::patience::Patience;
use crate::config::Listen;

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_head: usize,
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
}

/// The other end of a connection; none on a Unix socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) Option<SocketAddr>);

/// A listener with its port open.
pub(super) enum Bound {
    None,
    Tcp(TcpListener),
    Unix(UnixListener, std::path::PathBuf),
}

impl Bound {
    pub(super) async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::None => Ok(Bound::None),
            Listen::Tcp(address) => Ok(Bound::Tcp(TcpListener::bind(address).await?)),
            Listen::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
                Ok(Bound::Unix(listener, path.clone()))
            }
        }
    }

    pub(super) fn address(&self) -> Listen {
        match self {
            Bound::None => Listen::None,
            Bound::Tcp(listener) => listener.local_addr().map_or(Listen::None, Listen::Tcp),
            Bound::Unix(_, path) => Listen::Unix(path.clone()),
        }
    }

    /// Accepts until `stop`, then waits for what is in flight.
    pub(super) async fn serve(self, router: Router, limits: Limits, mut stop: watch::Receiver<bool>, grace: Duration) {
        let places = Arc::new(Semaphore::new(limits.max_connections));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    let connection = serve_connection(stream, peer, router.clone(), limits, &graceful);
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, as a rule: going on at once would only turn the loop hot.
                    tracing::warn!(%error, "cannot accept a connection");
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

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> io::Result<(Box<dyn Stream>, Peer, Option<tokio::sync::OwnedSemaphorePermit>)> {
        let place = Arc::clone(places).acquire_owned().await.ok();
        match self {
            Bound::None => std::future::pending().await,
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(Some(peer)), place))
            }
            Bound::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), Peer(None), place)),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn serve_connection(
    stream: Box<dyn Stream>,
    peer: Peer,
    router: Router,
    limits: Limits,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.max_head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(20)));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        let request: Request = request.map(Body::new);
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let stream = Patience::new(stream, limits.head_timeout, limits.idle_timeout);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Removes a socket file that nobody listens on any more; one in use is left for `bind` to complain about.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
