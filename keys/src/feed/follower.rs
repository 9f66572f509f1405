//! The follower: which server it asks, and what its verifier does when no answer comes.

use std::{fmt, sync::Arc, time::Instant};

use super::{
    FeedState, FollowerError, FollowerHandle, HttpSource, VerifyingKey,
    follower_state::{FollowerState, Moment},
    handle,
    process_name::ProcessName,
    reporting::Reporting,
};
use crate::{api_key::ApiKey, keyring_id::KeyringId, realm::Realm, shared::SharedVerifier};

/// Follows the revocation feed of a server and keeps a [`SharedVerifier`] current.
///
/// ```no_run
/// use bulla::{ApiKey, SharedVerifier, feed::{Follower, VerifyingKey, WhenStale}, keyring::KeyringId};
/// # fn start(verifier: &SharedVerifier, keyring_id: KeyringId) -> Result<(), Box<dyn std::error::Error>> {
///
/// let api_key: ApiKey = std::fs::read_to_string("feed-api-key.txt")?.trim().parse()?;
/// let public_key: VerifyingKey = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".parse()?;
/// let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
/// let following = Follower::new("https://bulla.example/v1/revocations", &api_key, keyring_id, public_key)?
///     .start(verifier, WhenStale::CouldNotTell, clock)?;
///
/// // For logs and metrics, now and then:
/// if let Some(since) = following.status().stale_since(clock()) {
///     eprintln!("revocations since {since} are not known: {:?}", following.status().last_error);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Follower {
    source: HttpSource,
    keyring_id: KeyringId,
    key: VerifyingKey,
    realm: Option<Realm>,
    report_as: Option<String>,
}

/// What a verifier does while its follower is [stale](FeedState::is_stale). Neither choice is right for everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenStale {
    /// It keeps its state: the API keeps working while the server is away, and keys that are revoked meanwhile
    /// are still accepted.
    GoOn,
    /// It accepts nothing ([`VerifyError::Stale`](crate::rejection::VerifyError::Stale), 503), from the start until the
    /// end of the log is reached, too.
    CouldNotTell,
}

impl Follower {
    /// A follower of the feed at `address`, with `/v1/revocations` at its end or without, with an API key of the realm
    /// `bulla` and the scope `feed`, and trusts what `key` signs for this keyring. The address is https, or on this
    /// machine.
    pub fn new(
        address: &str,
        api_key: &ApiKey,
        keyring_id: KeyringId,
        key: VerifyingKey,
    ) -> Result<Self, FollowerError> {
        Ok(Follower { source: HttpSource::new(address, api_key)?, keyring_id, key, realm: None, report_as: None })
    }

    /// Follows one realm, with an API key of the scope `feed:REALM` (or `feed`). It does not revoke keys of other
    /// realms, so it is for a verifier of this realm alone.
    #[must_use]
    pub fn realm(self, realm: Realm) -> Self {
        Follower { source: self.source.realm(Some(realm)), realm: Some(realm), ..self }
    }

    /// Trusts servers whose certificate comes from one of these, in PEM, in the place of the system's.
    pub fn trusting_roots(self, pem: &[u8]) -> Result<Self, FollowerError> {
        Ok(Follower { source: self.source.trusting_roots(pem)?, ..self })
    }

    /// Reports its place to the server under this name, so that the server's operator sees it in `bulla fleet`, and
    /// `bulla revoke --wait` waits for it. The name is this program's alone and stays over a restart: up to 128 of
    /// `A-Z`, `a-z`, `0-9`, `.`, `_`, `:`, `-` and `@`.
    #[must_use]
    pub fn reporting_as(self, name: impl Into<String>) -> Self {
        Follower { report_as: Some(name.into()), ..self }
    }

    /// Begins to follow, on threads of its own, until the handle is dropped. The clock tells Unix seconds: this library
    /// reads none itself.
    pub fn start(
        self,
        verifier: &SharedVerifier,
        when_stale: WhenStale,
        clock: impl Fn() -> u64 + Send + 'static,
    ) -> Result<FollowerHandle, FollowerError> {
        let reporting = self.report_as.map(|name| Reporting {
            name: ProcessName::Alone(name),
            verifier: verifier.clone(),
            nodes: vec![Arc::new(self.source.clone())],
            heard: Box::new(|_| {}),
        });
        let trusted = (self.keyring_id, self.key);
        let followed = (verifier.clone(), when_stale);
        let state = FollowerState::new(FeedState::new(self.realm), trusted, followed, Moment::first(clock()));
        handle::start(Arc::new(self.source), state.shared(), reporting, Instant::now(), clock)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Follower");
        shown.field("source", &self.source).field("keyring_id", &self.keyring_id).finish_non_exhaustive()
    }
}
