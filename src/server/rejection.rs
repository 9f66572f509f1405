//! The answer to a request whose API key was not accepted.
//!
//! | error | `/v1/authorize` | gRPC `Check` | admin plane, feed | `/v1/introspect` |
//! |---|---|---|---|---|
//! | rejected for a missing scope | 403, challenge with the scopes | `PermissionDenied` | | `{"active":false}` |
//! | rejected otherwise | 401, as without a key | `Unauthenticated` | 401 | `{"active":false}` |
//! | could not tell, or stale | 503 | `Unavailable` | 503 | 503 |
//!
//! Bodies of `/v1/verify` are in [`crate::api::verdict`]. Statuses and challenges of RFC 6750 are the library's, in
//! [`Refusal`], for embedders as well. The reason of a rejection is for the operator: no client hears it.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use bulla::{
    Rejection, VerifyError,
    layer::{CredentialRules, Refusal},
};
use tonic::Code;

use super::{failures::Failures, problem::Problem};
use crate::api::introspect::Introspection;

/// A gateway's request that is not let through.
pub(super) enum Denied {
    /// For its credential, with the challenge of the route.
    Refused(Refusal, Option<HeaderValue>),
    /// For an error of ours, or of the gateway's route.
    Failed(Problem),
}

impl Denied {
    /// For its credential, on a route that reads keys by these rules.
    pub(super) fn refused(refusal: Refusal, rules: &CredentialRules) -> Self {
        let challenge = refusal.challenge(rules);
        Denied::Refused(refusal, challenge)
    }

    /// For an API key that was not accepted, on a route that requires these scopes.
    pub(super) fn by(error: VerifyError, scopes: &[String], rules: &CredentialRules) -> Self {
        match error {
            VerifyError::Rejected(Rejection::Scope) => {
                Denied::refused(Refusal::InsufficientScope(scopes.join(" ").into()), rules)
            }
            // A client that tries keys hears the same as one without a key.
            VerifyError::Rejected(_) => Denied::refused(Refusal::NoCredential, rules),
            VerifyError::SecretUnchecked | VerifyError::Stale => Denied::Failed(Problem::could_not_tell()),
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Denied::Refused(refusal, challenge) => {
                let challenge = challenge.map(|challenge| (header::WWW_AUTHENTICATE, challenge));
                (refusal.status(), AppendHeaders(challenge)).into_response()
            }
            Denied::Failed(problem) => problem.into_response(),
        }
    }
}

/// The gRPC code beside the HTTP answer for the client.
pub(super) fn grpc_code(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// The problem for an administrator.
pub(super) fn of_administrator(error: VerifyError, health: &Failures) -> Problem {
    match error {
        VerifyError::Rejected(_) => Problem::unauthorized(),
        VerifyError::SecretUnchecked if health.since("secret hashes").is_some() => Problem::hashes_do_not_fit(),
        VerifyError::SecretUnchecked | VerifyError::Stale => Problem::could_not_tell(),
    }
}

/// The answer of introspection.
pub(super) fn of_token(error: VerifyError) -> Result<Introspection, Problem> {
    match error {
        VerifyError::Rejected(_) => Ok(Introspection::Inactive { active: false }),
        VerifyError::SecretUnchecked | VerifyError::Stale => Err(Problem::could_not_tell()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(error: VerifyError) -> (u16, Code) {
        let status = Denied::by(error, &["read".to_owned()], CredentialRules::usual()).into_response().status();
        (status.as_u16(), grpc_code(status))
    }

    #[test]
    fn a_client_hears_of_a_missing_scope_and_of_no_other_reason() {
        for rejection in Rejection::ALL {
            let expected = match rejection {
                Rejection::Scope => (403, Code::PermissionDenied),
                _ => (401, Code::Unauthenticated),
            };
            assert_eq!(denied(rejection.into()), expected, "{rejection:?}");
            assert_eq!(of_administrator(rejection.into(), &Failures::default()).status, StatusCode::UNAUTHORIZED);
            assert!(of_token(rejection.into()).is_ok());
        }
        for error in [VerifyError::SecretUnchecked, VerifyError::Stale] {
            assert_eq!(denied(error), (503, Code::Unavailable));
            assert_eq!(of_administrator(error, &Failures::default()).status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(of_token(error).is_err_and(|problem| problem.status == StatusCode::SERVICE_UNAVAILABLE));
        }
    }
}
