//! What lies between a socket and HTTP: TLS, as the listener has it at the moment, or nothing.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::TlsAcceptor;

use super::Stream;
use crate::{config::Plane, server::App, telemetry::limit::LineLimit, tls::ClientCertificate};

/// What one listener speaks below HTTP. Each connection gets what is in force when it arrives.
#[derive(Clone)]
pub(in crate::server) enum Transport {
    Plain,
    Configured { app: Arc<App>, plane: Plane },
}

/// A connection on which HTTP can begin.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Stream>,
    /// The certificate that the client showed, for requests to see as an extension.
    pub(super) client: Option<Arc<ClientCertificate>>,
}

impl Transport {
    /// Counts a connection that made room for another one.
    pub(super) fn note_eviction(&self) {
        if let Transport::Configured { app, plane } = self {
            app.metrics.connection_evicted(*plane);
        }
    }

    /// Shakes hands, where TLS is spoken; none where that did not come about within `limit`. Whoever scans ports can cause
    /// that at will, so it is counted and no line at the usual level.
    pub(super) async fn secure(&self, stream: Box<dyn Stream>, limit: Duration) -> Option<Secured> {
        let plain = |stream| Some(Secured { stream, client: None });
        let Transport::Configured { app, plane } = self else { return plain(stream) };
        let Some(tls) = app.snapshot().tls().of(*plane).cloned() else { return plain(stream) };
        let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
        let shaken =
            tokio::time::timeout(limit, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match shaken {
            Ok(stream) => {
                let client = stream.get_ref().1.peer_certificates().and_then(ClientCertificate::new).map(Arc::new);
                Some(Secured { stream: Box::new(stream), client })
            }
            Err(error) => {
                static LINES: LineLimit = LineLimit::new();
                app.metrics.handshake_failed(*plane);
                if tracing::enabled!(tracing::Level::DEBUG)
                    && let Some(kept_back) = LINES.allow(Instant::now())
                {
                    tracing::debug!(listener = %plane, %error, kept_back, "no TLS came about");
                }
                None
            }
        }
    }
}
