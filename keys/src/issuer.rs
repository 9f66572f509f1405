//! The issuer: seals new API keys under the active version.

use rand::{TryCryptoRng, rngs::SysRng};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    api_key::{
        ApiKey,
        text::{SECRET_BYTES, assemble},
    },
    claims::{Claims, ClaimsError},
    keyring::Keyring,
    payload::Payload,
    realm::Realm,
    suite::Suite,
};

/// Issues API keys under one keyring.
#[derive(Clone, Debug)]
pub struct Issuer {
    keyring: Keyring,
}

/// What an API key will say.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// The realm that issues it.
    pub realm: Realm,
    /// The app it belongs to.
    pub app_id: Uuid,
    /// When it expires, in Unix seconds; `None` is never.
    pub expires_at: Option<u64>,
    /// Restrictions and notes; and whether it has a secret half, which is drawn with it.
    pub claims: Claims,
}

/// No API key was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The keyring was not loaded for this realm.
    #[error("the keyring was not loaded for the realm {0}")]
    Realm(Realm),
    /// No version seals.
    #[error("the keyring has no active version: activate one")]
    NoActiveVersion,
    /// The active version is past its `seal_until`.
    #[error("the active version is past its `seal_until`: stage and activate the next one")]
    SealUntil,
    /// A time that 32 bits do not hold.
    #[error("an API key cannot hold the time {0}: times reach from 1970 to 2106-02-07T06:28:15Z, in Unix seconds")]
    Time(u64),
    /// The expiry is not after the time of issue.
    #[error("the expiry is not after the time of issue")]
    ExpiryPast,
    /// Claims that cannot be sealed.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// No randomness.
    #[error("the random generator failed: {0}")]
    Random(String),
}

impl Issuer {
    /// An issuer for the realms that the keyring was loaded for.
    pub fn new(keyring: &Keyring) -> Self {
        Issuer { keyring: keyring.clone() }
    }

    /// The suite of the version that seals, where there is one.
    pub fn suite(&self) -> Option<Suite> {
        self.keyring.realms.first().and_then(|keys| keys.active()).map(|version| version.record.suite)
    }

    /// Issues a key at `now`, in Unix seconds. Its nonce, and its secret half if the claims call for one, come from the
    /// operating system's generator.
    pub fn issue(&self, request: &IssueRequest, now: u64) -> Result<ApiKey, IssueError> {
        self.issue_with(request, now, &mut SysRng)
    }

    /// Issues a key whose nonce and secret half come from `random`, in this order. Reusing a nonce under one key
    /// reveals both plaintexts: `random` must be a cryptographic generator that never repeats.
    pub fn issue_with<R: TryCryptoRng>(
        &self,
        request: &IssueRequest,
        now: u64,
        random: &mut R,
    ) -> Result<ApiKey, IssueError> {
        let keys = self.keyring.realm(request.realm).ok_or(IssueError::Realm(request.realm))?;
        let version = keys.active().ok_or(IssueError::NoActiveVersion)?;
        let key = version.key.as_ref().ok_or(IssueError::NoActiveVersion)?;
        if version.record.seal_until.is_some_and(|until| until <= now) {
            return Err(IssueError::SealUntil);
        }
        let time = |time: u64| u32::try_from(time).map_err(|_| IssueError::Time(time));
        let expires_at = match request.expires_at {
            Some(expires_at) if expires_at <= now => return Err(IssueError::ExpiryPast),
            Some(expires_at) => time(expires_at)?,
            None => 0,
        };
        let payload = Payload { app_id: request.app_id, issued_at: time(now)?, expires_at };
        let plaintext = payload.encode(&request.claims.to_cbor()?);

        let (mut nonce, mut nonce_rest) = ([0; 12], [0; 12]);
        for half in [&mut nonce, &mut nonce_rest] {
            random.try_fill_bytes(half).map_err(|error| IssueError::Random(error.to_string()))?;
        }
        let sealed = key.seal(&nonce, &nonce_rest, &plaintext).map_err(|_| ClaimsError::TooLong(plaintext.len()))?;
        let body = [version.number.to_be_bytes().as_slice(), &nonce, &sealed].concat();
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        let has_secret = request.claims.has_secret();
        if has_secret {
            random.try_fill_bytes(secret.as_mut_slice()).map_err(|error| IssueError::Random(error.to_string()))?;
        }
        let text = assemble(request.realm.as_str(), &body, has_secret.then_some(&secret));
        #[allow(clippy::expect_used, reason = "what was assembled keeps to the grammar; the tests hold it to that")]
        Ok(text.parse().expect("an issued key is an API key"))
    }
}
