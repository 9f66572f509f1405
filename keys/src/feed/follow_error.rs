//! Why a follower cannot start, and why a question brought nothing.

use std::{io, sync::Arc};

use super::FeedError;

/// A [`Follower`](super::Follower) cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowerError {
    /// Not an address, or not one that an API key may be sent to.
    #[error("the feed's address `{address}` {fault}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The trusted roots hold no certificate.
    #[error("the trusted roots hold no PEM certificate")]
    NoCertificate,
    /// The client certificate cannot be used.
    #[error("the client certificate or its key is not PEM: give the chain, its own certificate first, and the key")]
    NoIdentity,
    /// A server is asked with an API key, and there is none.
    #[error("{0} is asked with an API key: issue one with the scope feed, and name its file")]
    NoCredential(String),
    /// Neither an API key nor a relay token.
    #[error("the feed's credential must be one line: an API key, or a relay token")]
    Credential,
    /// The system starts no thread.
    #[error("cannot start the follower's threads: {0}")]
    Thread(#[from] io::Error),
}

/// Why a follower's last question failed. It asks again, and keeps its state meanwhile.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// No answer, or one that broke off.
    #[error("the feed cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// An answer that is not a message.
    #[error("the feed's server answers {0}: {hint}", hint = hint(*.0))]
    Status(u16),
    /// A published file that is missing or broken.
    #[error("the published feed's `{name}` cannot be used: {why}")]
    Published {
        /// The file's name.
        name: Arc<str>,
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// A message that was refused.
    #[error(transparent)]
    Refused(#[from] FeedError),
}

impl FollowError {
    /// The source's log ends before the follower's place.
    pub const BEHIND: FollowError = FollowError::Status(409);

    /// Returns whether the source is behind.
    pub const fn is_behind(&self) -> bool {
        matches!(self, FollowError::Status(409))
    }

    /// The stable name of the reason, for logs, metrics and machines.
    pub const fn code(&self) -> &'static str {
        match self {
            FollowError::Unreachable(_) => "unreachable",
            FollowError::Status(_) => "status",
            FollowError::Published { .. } => "published",
            FollowError::Refused(error) => error.code(),
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => "it redirects, and the API key is not sent there; name the right address",
        400 => "it does not understand the question; use a newer server",
        401 => "the API key is not accepted: use a valid one of the realm `bulla`",
        403 => "the API key lacks the scope `feed`, or `feed:` and the followed realm",
        404 => "there is no feed at this address; it ends in /v1/revocations on the data plane",
        409 => {
            "this node's log ends before the follower's place; another node is ahead of it, or its store was restored"
        }
        503 => "its own state is stale, or it signs no feed",
        _ => "look into its log",
    }
}
