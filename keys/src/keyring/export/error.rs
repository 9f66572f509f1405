//! Why an export cannot be made, or cannot be used.

use super::Recipient;
use crate::{keyring::KeyringError, keyring_id::KeyringId, realm::Realm};

/// An export cannot be made or used: the fact, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Not an edge's key.
    #[error("this is not the key of an edge: one line that begins with BULLA-EDGE-SECRET-, whole and unchanged")]
    NoEdgeKey,
    /// Not a recipient.
    #[error(
        "this is not the recipient of an edge: bulla-edge- and 48 characters, as the edge prints it. It is mistyped or cut off"
    )]
    NoRecipient,
    /// The secret half in the place of the public one.
    #[error(
        "this is the secret key of an edge, which stays on the edge: give its recipient, and make the edge a new key if others \
         saw this one"
    )]
    SecretAsRecipient,
    /// The administrators' realm.
    #[error("keys of the realm `bulla` are never exported: with them an edge could make administrators' API keys")]
    AdminRealm,
    /// The keyring's sources do not yield the keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// Not the text of an export.
    #[error("this is not an export of a realm's keys: two lines, a JSON object and its signature, whole and unchanged")]
    Syntax,
    /// A newer format.
    #[error("the export has the format `{0}`, and this version reads `export/1`: use a newer version")]
    Format(String),
    /// Not signed by the key that the edge trusts.
    #[error(
        "the export was not signed by the feed's key that this edge trusts: it was changed, or it comes from another deployment"
    )]
    Signature,
    /// Keys of another keyring.
    #[error(
        "the export is of the keyring {found}, and this edge follows {expected}: export it from the right deployment"
    )]
    OtherKeyring {
        /// The export's keyring.
        found: KeyringId,
        /// The edge's.
        expected: KeyringId,
    },
    /// Sealed to another edge.
    #[error("the export is sealed to {found}, and this edge is {own}: export it to this one")]
    OtherEdge {
        /// Whom it is for.
        found: Recipient,
        /// Who reads it.
        own: Recipient,
    },
    /// A version twice, or as many keys as there should not be.
    #[error("the export of the realm {0} holds other keys than it says: make it again")]
    Keys(Realm),
    /// The cipher failed.
    #[error("the export cannot be sealed or opened: it was changed, or the system's generator failed")]
    Cipher,
}
