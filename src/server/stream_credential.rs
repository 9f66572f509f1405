//! The credential of a stream, which lasts longer than a request: it is verified again and again, so that the stream
//! ends with the API key that opened it.

use std::time::Duration;

use axum::http::HeaderMap;
use bulla::VerifyError;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{auth, core::CoreParts, listener::Peer};
use crate::verification::Wanted;

/// The time between two checks: what ends a key ends its streams within a second.
pub(super) const RECHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a key that could not be verified again is still accepted.
const GRACE: Duration = Duration::from_secs(60);

/// An administrator's API key that was accepted.
pub(super) struct StreamCredential {
    text: SecretString,
    wanted: Wanted,
    last_accepted: Instant,
}

impl StreamCredential {
    /// The key in `headers`, which was accepted just now; none where there is none.
    pub(super) fn of(headers: &HeaderMap, peer: Peer) -> Option<Self> {
        let text = auth::presented(headers).ok()?;
        let text = SecretString::from(text.expose());
        Some(StreamCredential { text, wanted: auth::wanted(peer), last_accepted: Instant::now() })
    }

    /// Returns whether the key is still accepted: it has not expired, and neither it nor its secret half, nor its
    /// version, was ended.
    pub(super) async fn holds(&mut self, core: &CoreParts) -> bool {
        match core.verification.verify_again(self.text.expose_secret(), &self.wanted).await {
            Ok(_) => {
                self.last_accepted = Instant::now();
                true
            }
            Err(VerifyError::Rejected(_)) => false,
            Err(VerifyError::SecretUnchecked | VerifyError::Stale) => self.last_accepted.elapsed() < GRACE,
        }
    }
}
