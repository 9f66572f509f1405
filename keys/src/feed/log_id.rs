//! The log's id: a follower's place in one log means nothing in another.

use std::{fmt, str::FromStr};

use crate::random::{self, RandomError};

/// 16 random bytes, drawn when a log of revocations begins and again whenever it may have lost events, as a store that
/// was restored from a backup has; written in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId([u8; 16]);

/// The text is not a log id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log id is 32 hexadecimal digits")]
pub struct LogIdError;

impl LogId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        LogId(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new id from the operating system's generator.
    pub fn random() -> Result<Self, RandomError> {
        random::bytes().map(LogId)
    }
}

impl FromStr for LogId {
    type Err = LogIdError;

    fn from_str(text: &str) -> Result<Self, LogIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| LogIdError)?;
        Ok(LogId(bytes))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
