//! What a relay asks: the first of its sources that answers, and each message is checked before it is handed on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::body::Bytes;
use bulla::{
    Realm,
    feed::{Answer, FeedError, FollowError, Head, LogId, Message, MessageSource, Question, VerifyingKey},
    keyring::KeyringId,
};

/// The sources of one stream.
pub(super) struct Upstream {
    sources: Vec<Arc<dyn MessageSource>>,
    /// The one that answered last.
    current: AtomicUsize,
    trusted: (KeyringId, VerifyingKey),
    realm: Option<Realm>,
}

/// A message that may be handed on, and what its head says.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) head: Head,
}

impl Upstream {
    pub(super) fn new(
        sources: Vec<Arc<dyn MessageSource>>,
        trusted: (KeyringId, VerifyingKey),
        realm: Option<Realm>,
    ) -> Self {
        Upstream { sources, current: AtomicUsize::new(0), trusted, realm }
    }

    /// The message that goes on from a place. It blocks. A source that fails is followed by the next, from then on.
    pub(super) fn ask(&self, log_id: Option<LogId>, after: u64, wait: u64) -> Result<Received, FollowError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failed = None;
        for number in (0..self.sources.len()).map(|at| (first + at) % self.sources.len()) {
            // Only the first waits: a question that fails over has waited already.
            let wait = if failed.is_none() { wait } else { 0 };
            let asked = self.sources[number].ask(&Question { after, log_id, wait });
            match asked.and_then(|answer| self.check(answer, after)) {
                Ok(received) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok(received);
                }
                // The first failure tells more than those after it.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(FollowError::BEHIND))
    }

    fn check(&self, answer: Answer, after: u64) -> Result<Received, FollowError> {
        let Answer::Next(bytes) = answer else { return Err(FeedError::NotNext { after, seq: after }.into()) };
        let message = Message::read(&bytes, self.trusted.0, &self.trusted.1)?;
        let head = message.head().clone();
        if head.realm != self.realm {
            return Err(FeedError::OtherRealm { found: head.realm, expected: self.realm }.into());
        }
        if head.after != after {
            return Err(FeedError::NotNext { after: head.after, seq: after }.into());
        }
        Ok(Received { bytes: bytes.into(), head })
    }
}
