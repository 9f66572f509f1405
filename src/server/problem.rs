//! Errors as HTTP answers: the mapping from each of our errors to a problem.

use std::time::Instant;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bulla::{
    keyring::{KeyVersion, KeyringError},
    source::{SourceError, SourceErrorKind as SourceProblem},
};

pub(super) use crate::api::problem::Problem;
use crate::{action::ActionError, deployment::DeploymentError, store::StoreError, telemetry::rate_limit::LineLimit};

/// The last part of an answer's problem type, for middleware that only sees the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(pub(super) &'static str);

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
        match error {
            StoreError::Uncertain(_) => Problem::may_have_happened(error.to_string()),
            _ => Problem::unavailable(error.to_string()),
        }
    }
}

impl From<DeploymentError> for Problem {
    fn from(error: DeploymentError) -> Self {
        let detail = error.to_string();
        match error {
            DeploymentError::KeyringReadOnly(_) => Problem::read_only_keyring(detail),
            DeploymentError::NotEverywhere { .. }
            | DeploymentError::NotLoaded { .. }
            | DeploymentError::StagedAhead { .. } => Problem::conflict(detail),
            DeploymentError::SharedKey { .. } => Problem::bad_request(detail),
            DeploymentError::Keyring(error) => match error {
                KeyringError::Unknown(_) => Problem::unknown_version(detail),
                KeyringError::IllegalMove { .. } | KeyringError::SameMaster { .. } => Problem::conflict(detail),
                KeyringError::NoSource(_)
                | KeyringError::SourcesDiffer(..)
                | KeyringError::NoSuccession(_)
                | KeyringError::MacKeyAsMaster(_) => Problem::bad_request(detail),
                KeyringError::Source { version, error } => of_source(version, &error),
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

/// A key source that a caller named, and that cannot be used. The log alone tells which files there
/// are, and what is wrong with one.
fn of_source(version: KeyVersion, error: &SourceError) -> Problem {
    let uri = error.uri();
    let file = uri.scheme() == "file";
    match error.kind() {
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
