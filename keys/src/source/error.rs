//! What goes wrong with a key source.

use std::time::Duration;

use super::SourceUri;

/// The kind of trouble, for programs that choose what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The URI is wrong.
    Uri,
    /// This build has no such kind of source.
    Unsupported,
    /// The configuration does not list it as a trusted source.
    Untrusted,
    /// There is no such key, file, token or program.
    Missing,
    /// The source is there and refuses: permissions, PIN, token, policy.
    Denied,
    /// The source does not answer.
    Unreachable,
    /// The source answers, and wants to be left alone for a while: a rate limit.
    Busy,
    /// The source answered with something that is no key or no derivation.
    Malformed,
}

impl Problem {
    /// Whether it can pass by itself, so that asking again later is of use; everything else takes somebody to change something.
    pub fn can_pass(self) -> bool {
        matches!(self, Problem::Unreachable | Problem::Busy)
    }
}

/// A key source did not yield a key. The text names the source and says what to do; it holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key source {uri}: {detail}")]
pub struct SourceError {
    uri: SourceUri,
    problem: Problem,
    detail: String,
    retry_after: Option<Duration>,
}

impl SourceError {
    /// Trouble of the source `uri`; `detail` says what is wrong and how to mend it.
    pub fn new(uri: &SourceUri, problem: Problem, detail: String) -> Self {
        SourceError { uri: uri.clone(), problem, detail, retry_after: None }
    }

    /// The same, of a source that says when to ask again.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        SourceError { retry_after, ..self }
    }

    /// When the source wants to be asked again, where it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The kind of trouble.
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// The source in question.
    pub fn uri(&self) -> &SourceUri {
        &self.uri
    }
}
