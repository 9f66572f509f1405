//! Where messages come from.

use super::{FollowError, fetch::Question};

/// A source of messages: a node, a relay, or files that anyone can serve. It looks into none of them and need not be trusted: who
/// asks checks each.
pub trait MessageSource: Send + Sync {
    /// Its name for logs and metrics: an address, without any credential.
    fn name(&self) -> &str;

    /// The bytes of the message that goes on from `question.after`. A source that has nothing newer waits for news for up to
    /// `question.wait` where it can, and answers with a message without events then.
    ///
    /// It blocks. A source that is behind the question answers [`FollowError::BEHIND`].
    fn ask(&self, question: &Question) -> Result<Vec<u8>, FollowError>;
}
