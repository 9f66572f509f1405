//! The layer between a socket and HTTP: TLS, as it is in force for the listener at the moment, or plain text.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::Stream;
use crate::{config::Plane, telemetry::rate_limit::LineLimit, tls::ClientCertificate};

/// What a listener needs from the service around it.
pub(in crate::server) trait Environment: Send + Sync {
    /// The TLS of a listener that is in force now, if it speaks TLS.
    fn tls(&self, plane: Plane) -> Option<Arc<ServerConfig>>;

    /// Counts a failed handshake.
    fn handshake_failed(&self, plane: Plane);

    /// Counts a connection that was closed to make room for another one.
    fn connection_evicted(&self, plane: Plane);
}

/// The layer of one listener. Each connection gets what is in force when it arrives.
#[derive(Clone)]
pub(in crate::server) enum Transport {
    Plain,
    Configured { environment: Arc<dyn Environment>, plane: Plane },
}

/// A connection on which HTTP can begin.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Stream>,
    /// The client's certificate, which requests have as an extension.
    pub(super) client: Option<Arc<ClientCertificate>>,
}

impl Transport {
    /// Counts a connection that was closed to make room for another one.
    pub(super) fn note_eviction(&self) {
        if let Transport::Configured { environment, plane } = self {
            environment.connection_evicted(*plane);
        }
    }

    /// Performs the handshake, where the listener speaks TLS. `None` if it fails or takes longer than `limit`. Anyone
    /// who scans ports can cause that at will, so it is counted, and logged at `debug` alone.
    pub(super) async fn secure(&self, stream: Box<dyn Stream>, limit: Duration) -> Option<Secured> {
        let plain = |stream| Some(Secured { stream, client: None });
        let Transport::Configured { environment, plane } = self else { return plain(stream) };
        let Some(config) = environment.tls(*plane) else { return plain(stream) };
        // Boxed: a connection without TLS does not need the room.
        let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
        let done = tokio::time::timeout(limit, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match done {
            Ok(stream) => {
                let client = stream.get_ref().1.peer_certificates().and_then(ClientCertificate::new).map(Arc::new);
                Some(Secured { stream: Box::new(stream), client })
            }
            Err(error) => {
                static LINES: LineLimit = LineLimit::new();
                environment.handshake_failed(*plane);
                if tracing::enabled!(tracing::Level::DEBUG)
                    && let Some(kept_back) = LINES.allow(Instant::now())
                {
                    tracing::debug!(listener = %plane, %error, kept_back, "TLS handshake failed");
                }
                None
            }
        }
    }
}
