//! The recipient that API keys are encrypted to.

use std::{fmt, str::FromStr};

/// An X25519 recipient, `age1…`: it encrypts, and cannot decrypt.
pub(crate) struct Recipient(age::x25519::Recipient);

/// A realm's recipient cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipientError {
    #[error(
        "it must be the recipient of an X25519 identity of age, `age1` and 58 characters. A passphrase is not allowed: the \
         service would hold what opens the keys. Put the identity under a passphrase instead: docs/ESCROW.md"
    )]
    NoRecipient,
    #[error(
        "it is an identity, which opens what is encrypted to it: take it off this machine, and name its recipient, which \
         `age-keygen -y` prints"
    )]
    Identity,
    #[error("the API key cannot be encrypted to the realm's escrow recipient: {0}")]
    Failed(#[from] age::EncryptError),
}

impl Recipient {
    /// `text` as an age file in ASCII armor, which only the recipient's identity opens.
    pub(crate) fn encrypt(&self, text: &str) -> Result<String, RecipientError> {
        Ok(age::encrypt_and_armor(&self.0, text.as_bytes())?)
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(RecipientError::Identity);
        }
        text.parse().map(Recipient).map_err(|_| RecipientError::NoRecipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
