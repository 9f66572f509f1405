//! Stub in place of recipients, in a build without the feature `escrow`.

use std::{fmt, str::FromStr};

/// No value exists: this build encrypts to no recipient.
pub(crate) enum Recipient {}

/// A realm's recipient cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipientError {
    #[error("this bulla was built without the feature escrow: use a build that has it")]
    Disabled,
}

impl Recipient {
    pub(crate) fn encrypt(&self, _: &str) -> Result<String, RecipientError> {
        match *self {}
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    /// Always [`RecipientError::Disabled`].
    fn from_str(_: &str) -> Result<Self, RecipientError> {
        Err(RecipientError::Disabled)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
