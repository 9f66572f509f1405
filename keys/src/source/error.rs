//! Errors of key sources.

use std::time::Duration;

use super::SourceUri;

/// The kind of error, for programs that choose what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceErrorKind {
    /// The URI is wrong.
    Uri,
    /// This build has no such kind of source.
    Unsupported,
    /// It is not a trusted source.
    Untrusted,
    /// There is no such key, file, token or program.
    Missing,
    /// The source is there and refuses: permissions, PIN, token, policy.
    Denied,
    /// The source does not answer.
    Unreachable,
    /// The source answers, and limits the rate of requests.
    Busy,
    /// The answer is not a key or not a derivation.
    Malformed,
}

impl SourceErrorKind {
    /// Returns whether it can pass by itself, so that it helps to retry later. Every other error needs a change.
    pub fn can_pass(self) -> bool {
        matches!(self, SourceErrorKind::Unreachable | SourceErrorKind::Busy)
    }
}

/// A key source did not yield a key. The text names the source and says what to do; it holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key source {uri}: {detail}")]
pub struct SourceError {
    uri: SourceUri,
    kind: SourceErrorKind,
    detail: String,
    retry_after: Option<Duration>,
}

impl SourceError {
    /// An error of the source `uri`; `detail` says what is wrong and what to do.
    pub fn new(uri: &SourceUri, kind: SourceErrorKind, detail: String) -> Self {
        SourceError { uri: uri.clone(), kind, detail, retry_after: None }
    }

    /// The same, from a source that says when to retry.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        SourceError { retry_after, ..self }
    }

    /// How long to wait before a retry, where the source says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The kind of error.
    pub fn kind(&self) -> SourceErrorKind {
        self.kind
    }

    /// The source in question.
    pub fn uri(&self) -> &SourceUri {
        &self.uri
    }
}
