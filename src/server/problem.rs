//! The one mapping from errors to HTTP: `application/problem+json` (RFC 9457), with a stable `type` and no secret.

use std::time::Instant;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bulla::{KeyVersion, KeyringError, Problem as SourceProblem, SourceError, layer::Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{action::ActionError, deployment::DeploymentError, store::StoreError, telemetry::limit::LineLimit, text};

/// The last part of an answer's problem type, for whoever looks at answers from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(pub(super) &'static str);

/// An error as a client sees it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The last part of the `type`.
    pub(super) kind: &'static str,
    pub(super) title: &'static str,
    detail: String,
    /// A challenge for `WWW-Authenticate`.
    pub(super) challenge: Option<HeaderValue>,
    /// Whether the same request may do in a second.
    pub(super) again: bool,
}

/// A problem as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// What is wrong, as a stable name.
    r#type: String,
    /// The same for people.
    title: &'a str,
    status: u16,
    /// What was wrong this time, and what to do.
    detail: &'a str,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        // Whatever it quotes, no API key is in it.
        let detail = text::shown(&detail.into());
        Problem { status, kind, title, detail, challenge: None, again: false }
    }

    fn challenging(self, refusal: &Refusal) -> Self {
        Problem { challenge: refusal.challenge(None), ..self }
    }

    /// What a client is shown.
    pub(super) fn document(&self) -> Document<'_> {
        Document { r#type: self.r#type(), title: self.title, status: self.status.as_u16(), detail: &self.detail }
    }

    /// Its name.
    pub(super) fn r#type(&self) -> String {
        format!("urn:bulla:problem:{}", self.kind)
    }

    /// The request does not parse, or holds what it must not.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is malformed", detail)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("the body may have {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    }

    pub(super) fn timed_out() -> Self {
        let detail = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timed-out", "The request took too long", detail)
    }

    pub(super) fn media_type(wanted: &'static str) -> Self {
        let detail = format!("send the body as `Content-Type: {wanted}`, in UTF-8, and say so once");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body has the wrong media type", detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here", "no endpoint has this path")
    }

    pub(super) fn method() -> Self {
        let detail = "see the Allow header for the methods this endpoint has";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The endpoint does not have this method", detail)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "present an API key of the realm `bulla` as `Authorization: Bearer …`, as user name or password of \
            `Authorization: Basic …`, or in `X-API-Key`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
            .challenging(&Refusal::NoCredential)
    }

    /// A login by Basic that a page of another site may have made a browser send.
    pub(super) fn login_of_a_page() -> Self {
        let detail = "a page of another site may have sent this: present the API key as `Authorization: Bearer …` or in \
            `X-API-Key`, which no browser adds by itself";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
            .challenging(&Refusal::NoCredential)
    }

    /// A client certificate that counts for nothing, and no API key.
    pub(super) fn certificate(detail: &str) -> Self {
        let detail = format!("{detail}, or present an API key of the realm `bulla`");
        Self::new(StatusCode::UNAUTHORIZED, "certificate", "The client certificate does not count", detail)
            .challenging(&Refusal::NoCredential)
    }

    /// A key that was to end itself, and is none that could.
    pub(super) fn no_such_key() -> Self {
        let detail = "present the API key that is to be revoked, which has to be genuine and in time, as `Authorization: \
            Bearer …`, as user name or password of `Authorization: Basic …`, or in `X-API-Key`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed", detail)
            .challenging(&Refusal::NoCredential)
    }

    pub(super) fn several_credentials() -> Self {
        let detail =
            "present one API key, in one header, once; in `Authorization: Basic …` as user name or as password";
        Self::new(StatusCode::UNAUTHORIZED, "several-credentials", "More than one credential", detail)
            .challenging(&Refusal::SeveralCredentials)
    }

    pub(super) fn forbidden(needed: &str) -> Self {
        let detail = format!("the credential lacks the scope `{needed}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The credential does not allow this", detail)
            .challenging(&Refusal::InsufficientScope("".into()))
    }

    /// A key that could not be judged just now.
    pub(super) fn could_not_tell() -> Self {
        let detail = "the key could not be judged just now: try again";
        let again = Self::new(StatusCode::SERVICE_UNAVAILABLE, "could-not-tell", "The key could not be judged", detail);
        Problem { again: true, ..again }
    }

    /// A body that there is no memory for.
    pub(super) fn busy() -> Self {
        let detail = "bodies of other requests take all the memory that there is for them: try again";
        let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server has no room for the body", detail);
        Problem { again: true, ..busy }
    }

    /// The same, while stored hashes are found that do not fit: then asking again may not help.
    pub(super) fn hashes_do_not_fit() -> Self {
        let detail = "the key could not be judged just now: try again. Stored hashes of secret halves do not fit the pepper, or \
                      were changed: where trying again does not help, the service's /readyz and log say what does";
        Problem { detail: detail.into(), ..Self::could_not_tell() }
    }

    /// The route, and so the operator, asks for something that cannot be.
    pub(super) fn misconfigured_route(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "misconfigured-route",
            "The gateway's route is misconfigured",
            detail,
        )
    }

    pub(super) fn unknown_api_key() -> Self {
        let detail = "the ledger has no API key of this id";
        Self::new(StatusCode::NOT_FOUND, "unknown-api-key", "There is no such API key on record", detail)
    }

    pub(super) fn unknown_version(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-version", "There is no such key version", detail)
    }

    /// The realm's policy does not allow it.
    pub(super) fn policy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "policy", "The realm's policy does not allow this", detail)
    }

    /// An idempotency key that stands for another request.
    pub(super) fn key_reused(detail: impl Into<String>) -> Self {
        let title = "The Idempotency-Key stands for another request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", title, detail)
    }

    /// The API key is not in the state that the action needs.
    pub(super) fn api_key_state(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "api-key-state", "The API key does not allow this now", detail)
    }

    /// The keyring is not in the state that the change needs.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "The keyring does not allow this now", detail)
    }

    /// A key source that a caller named, and that cannot be used. Which files there are, and what is wrong with one, is told
    /// in the log alone.
    fn source(version: KeyVersion, error: &SourceError) -> Self {
        let uri = error.uri();
        let file = uri.scheme() == "file";
        match error.problem() {
            SourceProblem::Uri | SourceProblem::Unsupported | SourceProblem::Untrusted => {
                Problem::bad_request(format!("version {version} cannot be loaded: {error}"))
            }
            problem if problem.can_pass() && !file => {
                tracing::warn!(%version, %error, "a key source does not answer");
                Problem::unavailable(format!("key source {uri} does not answer: the server's log says why"))
            }
            _ => {
                tracing::warn!(%version, %error, "a key source cannot be used");
                Problem::bad_request(format!(
                    "key source {uri} yields no key: the server's log, and `bulla keyring stage` there, say why"
                ))
            }
        }
    }

    pub(super) fn read_only_keyring(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "read-only-keyring", "The keyring is read-only here", detail)
    }

    pub(super) fn no_feed() -> Self {
        Self::unavailable("this server signs no feed: set feed.signing_key in its configuration")
    }

    pub(super) fn no_assertions() -> Self {
        let detail = "this server signs no assertions: set assertion.signing_keys in its configuration";
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here", detail)
    }

    /// A follower that heard more than this server's log has.
    pub(super) fn ahead_of_log(after: u64, end: u64) -> Self {
        let detail = format!("the log of this server ends at {end}, before {after}: ask again, or start again from 0");
        Self::new(StatusCode::CONFLICT, "ahead-of-log", "The follower is ahead of this server", detail)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "This cannot be done right now", detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "the server's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong with the server", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.extensions_mut().insert(Kind(self.kind));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.again {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<ActionError> for Problem {
    fn from(error: ActionError) -> Self {
        let detail = error.to_string();
        match error {
            ActionError::Invalid { .. } => Problem::bad_request(detail),
            ActionError::Policy { .. } => Problem::policy(detail),
            ActionError::KeyReused => Problem::key_reused(detail),
            ActionError::Unknown(_) => Problem::unknown_api_key(),
            ActionError::Conflict(_) => Problem::api_key_state(detail),
            ActionError::RuleAhead { .. } => Problem::unavailable(detail),
            ActionError::Issue(_) | ActionError::Secret(_) | ActionError::Escrow(_) => Problem::unavailable(detail),
            ActionError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        static LINES: LineLimit = LineLimit::new();
        if !matches!(error, StoreError::BudgetSpent { .. })
            && let Some(kept_back) = LINES.allow(Instant::now())
        {
            tracing::error!(%error, kept_back, "the store failed");
        }
        Problem::unavailable(error.to_string())
    }
}

impl From<DeploymentError> for Problem {
    fn from(error: DeploymentError) -> Self {
        let detail = error.to_string();
        match error {
            DeploymentError::KeyringReadOnly(_) => Problem::read_only_keyring(detail),
            DeploymentError::NotEverywhere { .. } | DeploymentError::StagedAhead { .. } => Problem::conflict(detail),
            DeploymentError::Keyring(error) => match error {
                KeyringError::Unknown(_) => Problem::unknown_version(detail),
                KeyringError::IllegalMove { .. } | KeyringError::SameMaster { .. } => Problem::conflict(detail),
                KeyringError::NoSource(_)
                | KeyringError::SourcesDiffer(..)
                | KeyringError::NoSuccession(_)
                | KeyringError::MacKeyAsMaster(_) => Problem::bad_request(detail),
                KeyringError::Source { version, error } => Problem::source(version, &error),
                _ => Problem::unavailable(detail),
            },
            DeploymentError::Store(error) => error.into(),
            _ => {
                static LINES: LineLimit = LineLimit::new();
                if let Some(kept_back) = LINES.allow(Instant::now()) {
                    tracing::error!(error = detail, kept_back, "the deployment cannot be opened");
                }
                Problem::unavailable(detail)
            }
        }
    }
}
