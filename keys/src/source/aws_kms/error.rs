//! What goes wrong with AWS KMS, in words, and whether it may pass.

use std::error::Error;

use aws_config::meta::ProviderChainError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::super::{SourceErrorKind, printable};

/// What `error` means for a caller who needs `permission`.
pub(super) fn of<E>(error: &SdkError<E>, permission: &str) -> (SourceErrorKind, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::ServiceError(refusal) = error {
        let code = refusal.err().code().unwrap_or("no code");
        let status = refusal.raw().status().as_u16();
        let (problem, what) = refused(code, status, permission);
        let said = refusal.err().message().map(printable).filter(|said| !said.is_empty());
        return (problem, format!("{what} ({code}{})", said.map(|said| format!(", {said:?}")).unwrap_or_default()));
    }
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        return no_credentials(error);
    }
    let (problem, what) = match error {
        SdkError::ConstructionFailure(_) => {
            (SourceErrorKind::Uri, "the request cannot be made: see that key, region and endpoint are written right")
        }
        SdkError::TimeoutError(_) => {
            (SourceErrorKind::Unreachable, "AWS KMS gave no answer in time: see that region and endpoint are right")
        }
        SdkError::ResponseError(_) => (
            SourceErrorKind::Unreachable,
            "something else than AWS KMS answered: see that the endpoint is right, and proxies",
        ),
        _ => (
            SourceErrorKind::Unreachable,
            "AWS KMS cannot be reached: see that region and endpoint are right, and the network",
        ),
    };
    (problem, format!("{what} ({})", printable(&DisplayErrorContext(error).to_string())))
}

/// What an answer of the service itself means.
fn refused(code: &str, status: u16, permission: &str) -> (SourceErrorKind, String) {
    let (problem, what) = match code {
        "NotFoundException" => (
            SourceErrorKind::Missing,
            "there is no such key in this account and region: see the key id, `region=` in the URI or AWS_REGION, and whose \
             credentials these are",
        ),
        "AccessDeniedException" => {
            return (SourceErrorKind::Denied, format!("these credentials may not use the key: allow {permission}"));
        }
        "InvalidCiphertextException" => (
            SourceErrorKind::Malformed,
            "the wrapped key does not open: it is damaged, or was wrapped for another keyring or version (encryption context)",
        ),
        "IncorrectKeyException" => {
            (SourceErrorKind::Missing, "the wrapped key was wrapped under another KMS key: name that one")
        }
        "InvalidKeyUsageException" => (
            SourceErrorKind::Malformed,
            "the key is of the wrong kind: mode=derive wants HMAC_256, mode=unwrap SYMMETRIC_DEFAULT",
        ),
        "DisabledException" | "KMSInvalidStateException" => {
            (SourceErrorKind::Denied, "the key is disabled or about to be deleted: enable it, or cancel the deletion")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => (
            SourceErrorKind::Denied,
            "AWS does not take these credentials: they are wrong or have expired, or this machine's clock is wrong",
        ),
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "LimitExceededException" => (SourceErrorKind::Busy, "AWS KMS limits the rate of requests"),
        "KeyUnavailableException"
        | "DependencyTimeoutException"
        | "KMSInternalException"
        | "InternalFailure"
        | "ServiceUnavailable" => (SourceErrorKind::Unreachable, "AWS KMS is failing: try again"),
        _ if status == 429 => (SourceErrorKind::Busy, "AWS KMS limits the rate of requests"),
        _ if status >= 500 => (SourceErrorKind::Unreachable, "AWS KMS is failing: try again"),
        _ if status == 403 => (
            SourceErrorKind::Denied,
            "AWS does not let these credentials use the key: they are wrong, or the permission is missing",
        ),
        _ => (SourceErrorKind::Malformed, "AWS KMS refuses the request: see that the key and the mode are right"),
    };
    (problem, what.to_owned())
}

/// There are no credentials, or the place they come from does not give them.
pub(super) fn no_credentials(error: &CredentialsError) -> (SourceErrorKind, String) {
    let reason = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let reason = printable(&reason.split_whitespace().collect::<Vec<_>>().join(" "));
    let advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role";
    if reason.contains("cargo feature") && reason.contains("sso") {
        let detail = format!(
            "the AWS profile wants a login by SSO, which a service cannot make: {advice}; credential_process in a profile works, \
             too ({reason})"
        );
        return (SourceErrorKind::Denied, detail);
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) if metadata_service_is_silent(error) => (
            SourceErrorKind::Unreachable,
            format!(
                "no AWS credentials: this machine's metadata service does not answer, and there are no others: {advice} \
                 ({reason})"
            ),
        ),
        CredentialsError::CredentialsNotLoaded(_) => {
            (SourceErrorKind::Denied, format!("there are no AWS credentials here: {advice} ({reason})"))
        }
        CredentialsError::InvalidConfiguration(_) => {
            (SourceErrorKind::Denied, format!("the AWS credentials are set up wrongly: {reason}"))
        }
        _ if ["AccessDenied", "InvalidIdentityToken"].iter().any(|code| reason.contains(code)) => {
            (SourceErrorKind::Denied, format!("AWS gives no credentials: {reason}"))
        }
        _ => (
            SourceErrorKind::Unreachable,
            format!("no AWS credentials at the moment: their provider failed or does not answer: {reason}"),
        ),
    }
}

/// Returns whether the last resort, the metadata service of EC2, was asked and did not answer; at a machine's start it
/// may be late.
fn metadata_service_is_silent(error: &CredentialsError) -> bool {
    let chain = causes(error).find_map(|cause| cause.downcast_ref::<ProviderChainError<CredentialsError>>());
    let mut attempts = chain.into_iter().flat_map(ProviderChainError::attempts);
    attempts.any(|attempt| causes(attempt.error()).any(|cause| cause.to_string().contains("communicate with IMDS")))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
