//! TLS of all listeners: loaded before a port opens, and reloaded when files change.

use std::sync::Arc;

use jiff::Timestamp;

use super::{ListenerTls, TlsError};
use crate::config::{Config, Plane};

/// A listener's TLS could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("[{plane}.tls]: {error}")]
pub(crate) struct ListenerTlsError {
    plane: Plane,
    error: TlsError,
}

/// What each listener speaks; plain text where it has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tls(Vec<(Plane, Arc<ListenerTls>)>);

impl Tls {
    /// Reads and checks all files that `config` names.
    pub(crate) fn load(config: &Config) -> Result<Self, ListenerTlsError> {
        let with_tls = config.listeners().into_iter().filter_map(|listener| Some((listener.plane, listener.tls?)));
        let loaded = with_tls.map(|(plane, tls)| match ListenerTls::load(tls) {
            Ok(tls) => Ok((plane, Arc::new(tls))),
            Err(error) => Err(ListenerTlsError { plane, error }),
        });
        loaded.collect::<Result<_, _>>().map(Tls)
    }

    /// TLS from the files as they are now, and what failed. A listener whose files cannot be used keeps what it has. So
    /// does one whose TLS was added or removed, for its clients must know before.
    pub(crate) fn reload(&self, config: &Config) -> (Self, Vec<String>) {
        let (mut tls, mut failed) = (self.clone(), Vec::new());
        for listener in config.listeners() {
            let (plane, current) = (listener.plane, tls.0.iter_mut().find(|(plane, _)| *plane == listener.plane));
            match (current, listener.tls.map(ListenerTls::load)) {
                (None, None) => {}
                (Some((_, current)), Some(Ok(loaded))) if **current == loaded => {}
                (Some((_, current)), Some(Ok(loaded))) => *current = Arc::new(loaded),
                (_, Some(Err(error))) => failed.push(ListenerTlsError { plane, error }.to_string()),
                (None, Some(Ok(_))) => {
                    failed.push(format!("[{plane}.tls] takes effect at the next start of the service"))
                }
                (Some(_), None) => {
                    failed.push(format!(
                        "[{plane}.tls] was removed, which takes effect at the next start of the service"
                    ));
                }
            }
        }
        (tls, failed)
    }

    /// TLS of one listener.
    pub(crate) fn of(&self, plane: Plane) -> Option<&Arc<ListenerTls>> {
        self.0.iter().find(|(of, _)| *of == plane).map(|(_, tls)| tls)
    }

    /// All that there is.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Plane, &ListenerTls)> {
        self.0.iter().map(|(plane, tls)| (*plane, &**tls))
    }

    /// When each certificate expires.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = (Plane, Timestamp)> {
        self.all().map(|(plane, tls)| (plane, tls.validity.until))
    }

    /// Which certificates are not valid at `now`, and why.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        let found = self.all().filter_map(|(plane, tls)| {
            tls.validity.trouble(now).map(|trouble| format!("the certificate of [{plane}.tls] {trouble}"))
        });
        Some(found.collect::<Vec<_>>().join("; ")).filter(|message| !message.is_empty())
    }
}
