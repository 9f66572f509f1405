//! API keys in escrow, which the holder of the recipient's identity can read again.

use bulla::ApiKeyId;
use jiff::Timestamp;

/// An API key as only the identity of an escrow recipient opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EscrowRow {
    pub(crate) id: ApiKeyId,
    pub(crate) recipient: String,
    /// The API key as it was issued, an age file in ASCII armor.
    pub(crate) ciphertext: String,
    /// What took the place of its last 51 characters since, written in the same way.
    pub(crate) ending: Option<String>,
    pub(crate) created_at: Timestamp,
    /// From when on it is of no use.
    pub(crate) ends_at: Option<Timestamp>,
}
