//! Where messages come from.

use super::{
    Applied, FeedError, FeedState, FollowError, Format, Head, LoadedSnapshot, Message, VerifyingKey, fetch::Question,
};
use crate::keyring_id::KeyringId;

/// A source of messages: a node, a relay, or files that anyone can serve. It looks into none of them and need not be
/// trusted: who asks checks each.
pub trait MessageSource: Send + Sync {
    /// Its name for logs and metrics: an address, without any credential.
    fn name(&self) -> &str;

    /// What goes on from `question.after`. A source that has nothing newer waits for news for up to
    /// `question.wait` where it can, and answers with a message without events then.
    ///
    /// It blocks. A source that is behind the question answers [`FollowError::BEHIND`].
    fn ask(&self, question: &Question) -> Result<Answer, FollowError>;

    /// The newest snapshot, whole and checked by the keyring's id and its feed's public key. A source that has none
    /// answers `FollowError::Status(404)`, and the log is read on.
    fn snapshot(&self, _by: (KeyringId, &VerifyingKey)) -> Result<LoadedSnapshot, FollowError> {
        Err(FollowError::Status(404))
    }

    /// Aborts a running question, and every later one at once: the caller wants no answer any more.
    fn stop(&self) {}
}

/// What a source has, in bytes that nobody has checked. Exhaustive on purpose: a follower that passes over an answer
/// misses revocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The message that goes on from the place.
    Next(Vec<u8>),
    /// A message before the newest one, which may be old and may begin before the place; and the newest one.
    Part {
        /// The message to apply.
        part: Vec<u8>,
        /// The one that says where the log ends.
        newest: Vec<u8>,
    },
}

impl Answer {
    /// Returns whether a follower that had nothing before this answer, and is at `seq` by it, is better off with a
    /// snapshot: there is more than one message. `newest` is the newest message in it.
    pub fn leaves_much(&self, newest: &Head, seq: u64) -> bool {
        match self {
            Answer::Next(_) => newest.format >= Format::V2 && newest.after == 0 && newest.seq < newest.head,
            Answer::Part { .. } => seq < newest.after,
        }
    }

    /// Checks the answer by the keyring's id and its feed's public key, and applies it to `state` at `now`, in Unix
    /// seconds. With the newest message that was in it.
    pub fn apply(
        &self,
        state: &mut FeedState,
        (keyring_id, key): (KeyringId, &VerifyingKey),
        now: u64,
    ) -> Result<(Applied, Message), FeedError> {
        let read = |bytes| Message::read(bytes, keyring_id, key);
        match self {
            Answer::Next(bytes) => {
                let message = read(bytes)?;
                Ok((state.apply(&message, now)?, message))
            }
            Answer::Part { part, newest } => {
                let (part, newest) = (read(part)?, read(newest)?);
                Ok((state.catch_up(&part, &newest, now)?, newest))
            }
        }
    }
}
