//! Signed assertions: statements about an accepted key, passed on by a gateway and verified by the application behind
//! it. So the application need not trust the gateway's headers.

mod key;
mod recent;

use axum::http::HeaderValue;
use bulla::{
    feed,
    source::{SourceError, SourceUri, Sources},
};
use serde::Serialize;
use uuid::Uuid;

use self::{
    key::{AssertionKey, Kind},
    recent::Recent,
};
use crate::{
    api::{jwks::JwkSet, verdict::scope_list},
    config::{AssertionConfig, SigningKeyConfig},
    verification::Accepted,
};

/// How many seconds an assertion is given out again, where it would say the same: signing takes longer than all else.
const REUSED_FOR: u64 = 5;

/// The keys, of which the first signs, and the claims that all assertions share.
#[derive(Debug)]
pub(crate) struct Assertions {
    keys: Vec<AssertionKey>,
    issuer: String,
    audience: String,
    valid_for: u64,
    recent: Recent,
}

/// Assertions cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssertionError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0} holds no number that is a key of ES256: make another one, `head -c 32 /dev/urandom | base64`")]
    Unusable(SourceUri),
    #[error("{0} is the key that signs the revocation feed: assertions need a key of their own")]
    FeedKey(SourceUri),
    #[error("{0} is in the list twice: list every key once")]
    Twice(SourceUri),
}

/// The claims of an assertion: those of RFC 7519, and the key's as in the identity headers.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    iat: u64,
    exp: u64,
    api_key_id: String,
    realm: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl Assertions {
    /// Loads the configured keys.
    pub(crate) fn open(
        config: &AssertionConfig,
        feed: Option<feed::VerifyingKey>,
        sources: &Sources,
    ) -> Result<Self, AssertionError> {
        let mut keys: Vec<AssertionKey> = Vec::new();
        for SigningKeyConfig { source: uri, algorithm } in &config.signing_keys {
            let key = AssertionKey::open(uri, *algorithm, sources)?;
            if feed.is_some_and(|feed| feed.to_bytes() == key.seed_id()) {
                return Err(AssertionError::FeedKey(uri.clone()));
            }
            if keys.iter().any(|other| other.seed_id() == key.seed_id()) {
                return Err(AssertionError::Twice(uri.clone()));
            }
            keys.push(key);
        }
        let (issuer, audience) = (config.issuer.clone(), config.audience.clone());
        Ok(Assertions { keys, issuer, audience, valid_for: config.valid_for.0.as_secs(), recent: Recent::default() })
    }

    /// The assertion about an accepted key at `now`, in Unix seconds, for `audience` or the default one. It may be some
    /// seconds old.
    pub(crate) fn about(&self, accepted: &Accepted, audience: Option<&str>, now: u64) -> Option<HeaderValue> {
        // All within one window say the same. A tenth of the time at most is lost to an assertion that is valid for a
        // short time.
        let window = (self.valid_for / 10).clamp(1, REUSED_FOR);
        let issued_at = now - now % window;
        let (id, most) = (accepted.id(), issued_at + self.valid_for);
        let realm = id.realm();
        let claims = Claims {
            iss: &self.issuer,
            sub: accepted.app_id(),
            aud: audience.unwrap_or(&self.audience),
            iat: issued_at,
            exp: accepted.expires_at().map_or(most, |expires_at| expires_at.min(most)),
            api_key_id: id.to_string(),
            realm: realm.as_str(),
            scope: scope_list(accepted.scopes()),
        };
        let (key, claims) = (self.keys.first()?, serde_json::to_vec(&claims).ok()?);
        let sign = |claims: &[u8]| HeaderValue::try_from(key.sign(Kind::Assertion, claims)?).ok();
        self.recent.get_or(claims, issued_at, sign)
    }

    /// A signed answer of introspection (RFC 9701) for the caller `client`.
    pub(crate) fn sign_introspection(
        &self,
        issuer: &str,
        client: &str,
        now: u64,
        answer: &impl Serialize,
    ) -> Option<String> {
        #[derive(Serialize)]
        struct Signed<'a, T> {
            iss: &'a str,
            aud: &'a str,
            iat: u64,
            token_introspection: &'a T,
        }
        let claims = Signed { iss: issuer, aud: client, iat: now, token_introspection: answer };
        self.keys.first()?.sign(Kind::Introspection, &serde_json::to_vec(&claims).ok()?)
    }

    /// The algorithm of the key that signs.
    pub(crate) fn algorithm(&self) -> Option<&'static str> {
        Some(self.keys.first()?.public().alg)
    }

    /// The public keys.
    pub(crate) fn jwks(&self) -> JwkSet<'_> {
        JwkSet { keys: self.keys.iter().map(AssertionKey::public).collect() }
    }

    /// The ids of the keys, the signing one first.
    pub(crate) fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(AssertionKey::id)
    }
}
