//! One question to the feed's server, and its answer: the transport of `docs/FEED.md`.

use std::{io::Read, time::Duration};

use ureq::{
    Agent,
    http::{HeaderValue, StatusCode},
};

use super::{FollowError, Message};
use crate::realm::Realm;

/// How much longer than the requested wait the server may take.
const EXTRA_TIME: Duration = Duration::from_secs(30);

pub(super) struct Feed {
    pub(super) agent: Agent,
    pub(super) address: String,
    pub(super) realm: Option<Realm>,
    /// Marked as sensitive.
    pub(super) authorization: HeaderValue,
}

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The place in the log behind which to begin.
    pub(super) after: u64,
    /// How long the server may wait for news, in seconds.
    pub(super) wait: u64,
}

impl Feed {
    /// The bytes of a message, not looked at yet.
    pub(super) fn ask(&self, question: Question) -> Result<Vec<u8>, FollowError> {
        let failed = |error: &dyn std::fmt::Display| FollowError::Unreachable(error.to_string().into());
        let limit = EXTRA_TIME + Duration::from_secs(question.wait);
        let request = self.agent.get(self.url(question)).header("Authorization", self.authorization.clone());
        let asked = request.config().timeout_global(Some(limit)).build().call();
        let mut response = asked.map_err(|error| failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(FollowError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        // One more than may be, so that too many are seen to be.
        let body = response.body_mut().as_reader().take(Message::MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
        body.map_err(|error| failed(&error))?;
        Ok(bytes)
    }

    fn url(&self, Question { after, wait }: Question) -> String {
        let mut url = format!("{}?after={after}", self.address);
        if let Some(realm) = self.realm {
            url += &format!("&realm={realm}");
        }
        if wait > 0 {
            url += &format!("&wait={wait}s");
        }
        url
    }
}
