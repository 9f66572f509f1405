//! A message: head, events and signature, read and written.

use super::{FeedError, Head, SigningKey, VerifyingKey, envelope, event, line::Line};
use crate::{keyring_id::KeyringId, revocation::RevocationEvent};

/// A message of the feed whose signature holds, and whose every line is known and makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    head: Head,
    events: Vec<RevocationEvent>,
}

impl Message {
    /// Most events of a message; what is more comes in several.
    pub const MAX_EVENTS: usize = 10_000;
    /// Most bytes of a message: a follower need not read on.
    pub const MAX_BYTES: usize = 4 << 20;

    /// Reads a message of this keyring's feed.
    pub fn read(bytes: &[u8], keyring_id: KeyringId, key: &VerifyingKey) -> Result<Self, FeedError> {
        let message = Self::parse(envelope::open(bytes, keyring_id, key)?)?;
        if message.head.keyring_id != keyring_id {
            return Err(FeedError::OtherKeyring { found: message.head.keyring_id, expected: keyring_id });
        }
        Ok(message)
    }

    /// Writes and signs a message. It does not sign what no follower would take.
    pub fn write(head: &Head, events: &[RevocationEvent], key: &SigningKey) -> Result<Vec<u8>, FeedError> {
        let mut text = String::with_capacity(1024 + 128 * events.len());
        text.extend([&head.write(), "\n"]);
        for event in events {
            text.extend([&event::write(event)?, "\n"]);
        }
        Self::parse(text.as_bytes())?;
        envelope::seal(text, head.keyring_id, key)
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The events, in the order of their numbers.
    pub fn events(&self) -> &[RevocationEvent] {
        &self.events
    }

    fn parse(signed: &[u8]) -> Result<Self, FeedError> {
        let mut lines = signed.strip_suffix(b"\n").unwrap_or(signed).split(|byte| *byte == b'\n');
        let head = Head::read(Line::read(1, lines.next().unwrap_or_default())?)?;
        let count = lines.clone().count();
        if count > Self::MAX_EVENTS {
            return Err(FeedError::TooManyEvents(count));
        }
        let events = lines.zip(2..).map(|(line, number)| event::read(Line::read(number, line)?));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        let (mut before, after, through) = (0, head.after, head.seq);
        for event in &events {
            let seq = event.seq;
            if seq <= before {
                return Err(FeedError::EventOrder { seq, before });
            }
            if seq <= after || seq > through {
                return Err(FeedError::EventOutside { seq, after, through });
            }
            if let Some(realm) = head.realm.filter(|realm| !event.change.concerns(*realm)) {
                return Err(FeedError::EventRealm { seq, realm });
            }
            before = seq;
        }
        Ok(Message { head, events })
    }
}
