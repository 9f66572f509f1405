//! What lies between a socket and HTTP: TLS, as the listener has it at the moment, or nothing.

use std::{io, sync::Arc, time::Duration};

use tokio_rustls::TlsAcceptor;

use super::Stream;
use crate::{config::Plane, server::App, tls::ClientCertificate};

/// What one listener speaks below HTTP. Each connection gets what is in force when it arrives.
#[derive(Clone)]
pub(in crate::server) struct Transport {
    app: Arc<App>,
    plane: Plane,
}

/// A connection on which HTTP can begin.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Stream>,
    /// The certificate that the client showed, for requests to see as an extension.
    pub(super) client: Option<Arc<ClientCertificate>>,
}

impl Transport {
    pub(in crate::server) fn new(app: Arc<App>, plane: Plane) -> Self {
        Transport { app, plane }
    }

    /// Shakes hands, where TLS is spoken; none where that did not come about within `limit`. Whoever scans ports can cause
    /// that at will, so it is counted and no line at the usual level.
    pub(super) async fn secure(&self, stream: Box<dyn Stream>, limit: Duration) -> Option<Secured> {
        let Some(tls) = self.app.snapshot().tls.of(self.plane).cloned() else {
            return Some(Secured { stream, client: None });
        };
        let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
        let shaken =
            tokio::time::timeout(limit, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match shaken {
            Ok(stream) => {
                let client = stream.get_ref().1.peer_certificates().and_then(ClientCertificate::new).map(Arc::new);
                Some(Secured { stream: Box::new(stream), client })
            }
            Err(error) => {
                self.app.metrics.handshake_failed(self.plane);
                tracing::debug!(listener = %self.plane, %error, "no TLS came about");
                None
            }
        }
    }
}
