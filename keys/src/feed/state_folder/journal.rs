//! The journal: the messages since the state was written.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use super::{Generation, JOURNAL, StateFolder, TAG};
use crate::{
    feed::{FeedError, FeedState, Message, VerifyingKey},
    keyring_id::KeyringId,
    source::open_regular_file,
};

/// The journal that goes on from the state on disk.
pub(super) struct Journal {
    pub(super) file: File,
    /// The anchor, which says how many messages the journal has.
    pub(super) anchor: File,
    pub(super) generation: Generation,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// What a journal brought.
#[derive(Default)]
pub(super) struct Replayed {
    /// How many of its messages were applied; none where it does not go on from the state.
    pub(super) messages: Option<u64>,
    /// Why those behind them were not. A torn end has no reason.
    pub(super) trouble: Option<String>,
}

impl StateFolder {
    /// Adds messages to the journal; they are on disk when this returns, and the anchor says so. After an error its end
    /// may be torn.
    pub(super) fn append<'m>(&self, journal: &mut Journal, messages: impl Iterator<Item = &'m [u8]>) -> io::Result<()> {
        let mut records = Vec::new();
        for message in messages {
            let tag = self.mac.tag(&record(&journal.generation, journal.messages, message));
            let length = u32::try_from(message.len()).map_err(io::Error::other)?.to_be_bytes();
            [&length, message, &tag].into_iter().for_each(|part| records.extend_from_slice(part));
            journal.messages += 1;
        }
        if records.is_empty() {
            return Ok(());
        }
        journal.file.write_all(&records)?;
        // Once for all of them, and once for the anchor: a disk is slower than the feed may be, and the fleet hears of
        // no place that is not on it. The anchor comes second, so that a crash between the two leaves no anchor that
        // asks for more than there is.
        journal.file.sync_data()?;
        self.confirm(&journal.anchor, journal.generation, journal.messages)?;
        journal.bytes += records.len() as u64;
        Ok(())
    }

    /// Applies what the journal on disk has more than the state. Fails where it is there and cannot be read.
    pub(super) fn replay(
        &self,
        generation: Generation,
        trusted: (KeyringId, &VerifyingKey),
        state: &mut FeedState,
    ) -> io::Result<Replayed> {
        let mut bytes = Vec::new();
        match open_regular_file(&self.folder.join("journal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Replayed::default()),
            opened => opened?.read_to_end(&mut bytes)?,
        };
        let Some(records) = bytes.strip_prefix(JOURNAL).and_then(|rest| rest.strip_prefix(&generation)) else {
            return Ok(Replayed::default());
        };
        let mut messages = 0;
        let trouble = self.replay_records(records, generation, trusted, (state, &mut messages)).err();
        Ok(Replayed { messages: Some(messages), trouble })
    }

    /// Applies each message as it was applied when it came, and counts it: FEED.md.
    fn replay_records(
        &self,
        mut rest: &[u8],
        generation: Generation,
        (keyring_id, public_key): (KeyringId, &VerifyingKey),
        (state, number): (&mut FeedState, &mut u64),
    ) -> Result<(), String> {
        while let Some((length, more)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            // A crash tears off the end only what had not been confirmed.
            let Some((bytes, (tag, more))) =
                more.split_at_checked(length).and_then(|(bytes, more)| Some((bytes, more.split_first_chunk::<TAG>()?)))
            else {
                return Ok(());
            };
            if !self.mac.verifies(&record(&generation, *number, bytes), tag) {
                return Err(format!("message {number} was changed"));
            }
            let message = Message::read(bytes, keyring_id, public_key);
            let message = message.map_err(|error| format!("message {number} is refused: {error}"))?;
            let at = message.head().this_update;
            let applied = match state.apply(&message, at) {
                Err(FeedError::OtherLog { .. }) => {
                    state.restart();
                    state.apply(&message, at)
                }
                applied => applied,
            };
            match applied {
                // It waited to be written while the whole state was, which has it.
                Err(FeedError::NotNext { after, seq }) if after < seq => {}
                applied => drop(applied.map_err(|error| format!("message {number} is refused: {error}"))?),
            }
            (rest, *number) = (more, *number + 1);
        }
        Ok(())
    }
}

fn record(generation: &Generation, number: u64, message: &[u8]) -> Vec<u8> {
    [generation.as_slice(), &number.to_be_bytes(), message].concat()
}
