//! Why a request does not get through, and the one mapping of that to HTTP: RFC 6750, section 3.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use super::CredentialRules;
use crate::{
    claims::is_scope_character,
    rejection::{Rejection, VerifyError},
};

/// Why a request was not let through. It is among the response's extensions too, for logs and metrics outside of the
/// layer.
///
/// | refusal | status | `WWW-Authenticate` |
/// |---|---|---|
/// | `NoCredential` | 401 | `Basic realm="bulla", Bearer` |
/// | `SeveralCredentials` | 401 | `Basic realm="bulla", Bearer error="invalid_request"` |
/// | `Rejected`, whatever the reason | 401 | `Basic realm="bulla", Bearer error="invalid_token"` |
/// | `InsufficientScope` | 403 | `Bearer error="insufficient_scope", scope="…"`, all that the route wants |
/// | `SecretUnchecked`, `Stale` | 503 | |
/// | `NotVerified` | 500 | |
///
/// RFC 6750 has 400 for `invalid_request`; gateways in between turn that into a 500.
///
/// A 401 names every scheme that is accepted: git, wget and others send their credential only after a challenge for
/// Basic. It stands in one header, because some gateways pass on one, and first, because some clients read the first
/// challenge alone. Shown are the usual rules; what others accept is in [`CredentialRules`]. Without a scheme in
/// `Authorization` it is `Bearer`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No API key was presented.
    #[error("no API key was presented")]
    NoCredential,
    /// More than one was.
    #[error("more than one credential was presented")]
    SeveralCredentials,
    /// The key is not accepted. The reason is for the operator; the client gets none.
    #[error("rejected: {0}")]
    Rejected(Rejection),
    /// The key has a secret half, or its realm requires one, and there are no hashes here to check it against.
    #[error("could not tell: the key has a secret half, and this verifier has no hashes to check it")]
    SecretUnchecked,
    /// It is not known whether the key was revoked lately.
    #[error("could not tell: the revocations are stale")]
    Stale,
    /// The key is good, and lacks one of these scopes, which are separated by spaces.
    #[error("the key lacks one of the scopes {0:?}")]
    InsufficientScope(Arc<str>),
    /// No [`VerifyLayer`](super::VerifyLayer) stands around what wants a verified key.
    #[error("no key was verified: put a VerifyLayer around this route")]
    NotVerified,
}

impl Refusal {
    /// The stable name of the reason, for logs, metrics and machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::NoCredential => "no_credential",
            Refusal::SeveralCredentials => "several_credentials",
            Refusal::Rejected(rejection) => rejection.code(),
            Refusal::SecretUnchecked => "secret_unchecked",
            Refusal::Stale => "stale",
            Refusal::InsufficientScope(_) => Rejection::Scope.code(),
            Refusal::NotVerified => "not_verified",
        }
    }

    /// The status that a client gets.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::NoCredential | Refusal::SeveralCredentials | Refusal::Rejected(_) => StatusCode::UNAUTHORIZED,
            Refusal::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Refusal::SecretUnchecked | Refusal::Stale => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::NotVerified => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The challenge that goes with it, where the key is read by these rules.
    pub fn challenge(&self, rules: &CredentialRules) -> Option<HeaderValue> {
        Some(match self {
            Refusal::NoCredential => rules.challenge(None),
            Refusal::SeveralCredentials => rules.challenge(Some("invalid_request")),
            Refusal::Rejected(_) => rules.challenge(Some("invalid_token")),
            Refusal::InsufficientScope(scopes) => insufficient_scope(scopes),
            Refusal::SecretUnchecked | Refusal::Stale | Refusal::NotVerified => return None,
        })
    }

    /// The response, with an empty body, where the key is read by these rules.
    pub fn into_response<B: Default>(self, rules: &CredentialRules) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        if let Some(challenge) = self.challenge(rules) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Scopes with other characters than RFC 6749 allows are left unsaid, as a quote would end the text. So are none: RFC
/// 6749 has no empty list.
fn insufficient_scope(scopes: &str) -> HeaderValue {
    let known = !scopes.is_empty() && scopes.bytes().all(|byte| byte == b' ' || is_scope_character(byte));
    let told = known.then(|| HeaderValue::from_str(&format!(r#"Bearer error="insufficient_scope", scope="{scopes}""#)));
    told.and_then(Result::ok).unwrap_or(HeaderValue::from_static(r#"Bearer error="insufficient_scope""#))
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(rejection) => Refusal::Rejected(rejection),
            VerifyError::SecretUnchecked => Refusal::SecretUnchecked,
            VerifyError::Stale => Refusal::Stale,
        }
    }
}
