//! A credential that something goes on by for longer than a request takes: it is looked at again and again, so that a stream
//! ends with the API key that opened it.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use bulla::VerifyError;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{App, auth, listener::Peer};
use crate::api::verdict::Wanted;

/// How often it is looked at: what ends a key ends its streams within a second.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// For how long a key that could not be verified again is taken for what it was.
const UNSURE: Duration = Duration::from_secs(60);

/// An administrator's API key that was found good.
pub(super) struct Standing {
    text: Zeroizing<String>,
    wanted: Wanted,
    last_good: Instant,
}

impl Standing {
    /// The key in `headers`, which was found good just now; none where there is none.
    pub(super) fn of(headers: &HeaderMap, peer: Peer) -> Option<Self> {
        let text = auth::presented(headers).ok()?;
        let text = Zeroizing::new(text.expose().to_owned());
        Some(Standing { text, wanted: auth::wanted(peer), last_good: Instant::now() })
    }

    /// Whether the key still holds: it has not expired, and neither it nor its secret half, nor its version, was ended.
    pub(super) async fn holds(&mut self, app: &Arc<App>) -> bool {
        match app.verify_again(&self.text, &self.wanted).await {
            Ok(_) => {
                self.last_good = Instant::now();
                true
            }
            Err(VerifyError::Rejected(_)) => false,
            Err(VerifyError::SecretUnchecked | VerifyError::Stale) => self.last_good.elapsed() < UNSURE,
        }
    }
}
