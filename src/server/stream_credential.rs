//! The credential of a stream, which lasts longer than a request: it is verified again and again, so that the stream
//! ends with the API key that opened it.

use std::{pin::pin, time::Duration};

use axum::http::HeaderMap;
use bulla::{ApiKey, VerifyError};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{App, auth, listener::Peer, secrets::FoundRight};
use crate::verification::Wanted;

/// The time between two checks: what ends a key ends its streams within a second.
pub(super) const RECHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a check may take once it is known that the secret half has changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a key that could not be verified again is still accepted, while nothing is known to have changed.
const GRACE: Duration = Duration::from_secs(60);

/// An administrator's API key that was accepted.
pub(super) struct StreamCredential {
    text: SecretString,
    wanted: Wanted,
    last_accepted: Instant,
    /// That its secret half was right then.
    found: Option<FoundRight>,
}

impl StreamCredential {
    /// The key in `headers`, which was accepted just now; none where there is none.
    pub(super) async fn of(app: &App, headers: &HeaderMap, peer: Peer) -> Option<Self> {
        let text = SecretString::from(auth::presented(headers).ok()?.expose());
        let found = match text.expose_secret().parse::<ApiKey>() {
            Ok(key) => Some(app.secrets.found_right(key.id(), text.expose_secret()).await),
            Err(_) => None,
        };
        Some(StreamCredential { text, wanted: auth::wanted(peer), last_accepted: Instant::now(), found })
    }

    /// Returns whether the key is still accepted: it has not expired, and neither it nor its secret half, nor its
    /// version, was ended.
    pub(super) async fn holds(&mut self, app: &App) -> bool {
        let text = self.text.expose_secret();
        let mut checking = pin!(app.verification.verify_again(&app.secrets, text, &self.wanted));
        loop {
            match tokio::time::timeout(LOOK_INTERVAL, checking.as_mut()).await {
                Ok((Ok(_), found)) => {
                    self.last_accepted = Instant::now();
                    self.found = found.or(self.found);
                    return true;
                }
                Ok((Err(VerifyError::Rejected(_)), _)) => return false,
                Ok((Err(VerifyError::SecretUnchecked | VerifyError::Stale), _)) => return self.is_bridged(app),
                Err(_) if self.is_bridged(app) => {}
                Err(_) => return false,
            }
        }
    }

    /// Returns whether a key that cannot be verified now counts as before. One whose secret half was changed, or has
    /// ended, does not: nobody knows that it is still right.
    fn is_bridged(&self, app: &App) -> bool {
        let may_have_changed = self.found.is_some_and(|found| app.secrets.may_have_changed(&found));
        !may_have_changed && self.last_accepted.elapsed() < GRACE
    }
}
