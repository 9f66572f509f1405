//! What is wrong with a keyring: the fact, and what puts it right. Commands and configuration are the caller's to name.

use super::{KeyCheckValue, KeyVersion, VersionRecord, VersionState};
use crate::source::{SourceError, SourceUri};

/// A keyring that cannot be read, loaded or changed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// Not TOML, an unknown field, or a value of the wrong kind: where.
    #[error("the keyring document does not parse: {0}; restore the last good document")]
    Syntax(String),
    /// A newer document than this program knows.
    #[error("the keyring document has format {0}, and this version of the library reads format 1: use a newer version")]
    Format(u32),
    /// No MAC where it has to stand.
    #[error(
        "the last line of the keyring document must be `hmac_sha256 = \"…\"` under `[mac]`: the document is cut off"
    )]
    MacMissing,
    /// Changed by someone without the MAC key, or checked with another one.
    #[error(
        "the keyring document's MAC is wrong: it was changed by hand, or the MAC key is another one; restore the last good \
         document, or the right MAC key"
    )]
    MacWrong,
    /// Two versions of one number.
    #[error("the keyring document has version {0} twice: restore the last good document")]
    DuplicateVersion(KeyVersion),
    /// More than one active version.
    #[error(
        "the keyring document has two active versions, {0} and {1}, where at most one is allowed: restore the last good document"
    )]
    TwoActive(KeyVersion, KeyVersion),
    /// A version that cannot be opened by anyone.
    #[error("version {0} names no key source: every version needs at least one")]
    NoSource(KeyVersion),
    /// A source failed, and the version has no other source that works.
    #[error("version {version} cannot be loaded: {error}")]
    Source {
        /// The version.
        version: KeyVersion,
        /// The last source's error.
        error: SourceError,
    },
    /// The source of the MAC key failed.
    #[error("the keyring's MAC key cannot be loaded: {0}")]
    MacSource(SourceError),
    /// Another master key behind the right name.
    #[error(
        "version {version}: {uri} holds another key than the one the keyring was made with (key-check value {found}, \
         recorded {recorded}); point it at the right key, or restore that key"
    )]
    WrongKey {
        /// The version.
        version: KeyVersion,
        /// The source.
        uri: String,
        /// What the source's key gives.
        found: String,
        /// What the document says.
        recorded: String,
    },
    /// A wrapped key that is not base64.
    #[error("the `wrapped` key of version {0} is not base64: restore the last good document")]
    Wrapped(KeyVersion),
    /// No such version.
    #[error("the keyring has no version {0}")]
    Unknown(KeyVersion),
    /// The master key is already in use.
    #[error("{uri} holds the master key that version {version} already has: every version needs its own key")]
    SameMaster {
        /// The version that has it.
        version: KeyVersion,
        /// The source offered again.
        uri: String,
    },
    /// Several sources of one version hold different keys.
    #[error("{0} and {1} hold different keys: the sources of one version must hold the same master key")]
    SourcesDiffer(String, String),
    /// A move that is not in the table of legal ones.
    #[error("version {version} is {state} and cannot be {asked}: {legal}")]
    IllegalMove {
        /// The version.
        version: KeyVersion,
        /// Its state.
        state: VersionState,
        /// What was asked for.
        asked: &'static str,
        /// What is legal from there.
        legal: &'static str,
    },
    /// All 2^32 - 1 numbers are used.
    #[error("the keyring has used up its version numbers: make a new keyring")]
    NumbersUsedUp,
    /// The source is in the version's list already.
    #[error("version {version} has the source {uri} already")]
    SourceKnown {
        /// The version.
        version: KeyVersion,
        /// The source.
        uri: SourceUri,
    },
    /// The source is not in the version's list.
    #[error("version {version} has no source {uri}")]
    SourceUnknown {
        /// The version.
        version: KeyVersion,
        /// The source.
        uri: SourceUri,
    },
    /// The last source of a version cannot be removed.
    #[error("version {0} has only this source: add another one first")]
    LastSource(KeyVersion),
    /// No source would be left that serves the version's key.
    #[error("{uri} stays a source of version {version}, because no other one serves its key: {error}")]
    NoneServes {
        /// The version.
        version: KeyVersion,
        /// The source that was to be removed.
        uri: SourceUri,
        /// Why the last of the others does not serve.
        error: Box<KeyringError>,
    },
    /// A successor for a version that is not the active one, or the version itself.
    #[error(
        "version {0} cannot have a successor: only the active version can, and the successor must be another version"
    )]
    NoSuccession(KeyVersion),
    /// The key of the keyring's MAC, offered as a master key.
    #[error("the master key of version {0} is the key that authenticates the keyring: every purpose needs its own key")]
    MacKeyAsMaster(KeyVersion),
    /// The source of a pepper failed.
    #[error("version {version} of the pepper cannot be loaded: {error}")]
    PepperSource {
        /// The pepper's version.
        version: KeyVersion,
        /// The source's error.
        error: SourceError,
    },
    /// A master key, offered as a pepper.
    #[error(
        "{uri} holds the master key of version {version}: the pepper must be another key, or secret halves protect nothing \
         once the master key is stolen"
    )]
    MasterAsPepper {
        /// The version whose master key it is.
        version: KeyVersion,
        /// The pepper's source.
        uri: SourceUri,
    },
    /// An older document than one that was seen before.
    #[error(
        "the keyring document was rolled back: it has serial {serial}, and serial {seen} was seen before; restore the newest \
         document"
    )]
    RolledBack {
        /// The document's serial number.
        serial: u64,
        /// The highest one seen.
        seen: u64,
    },
    /// A version that was compromised or destroyed opens again, or is gone from the record.
    #[error("version {0} was compromised or destroyed, and this document brings it back: restore the newest document")]
    BroughtBack(KeyVersion),
}

impl KeyringError {
    pub(super) fn wrong_key(version: &VersionRecord, uri: &SourceUri, found: KeyCheckValue) -> Self {
        KeyringError::WrongKey {
            version: version.number,
            uri: uri.to_string(),
            found: found.to_string(),
            recorded: version.key_check_value.to_string(),
        }
    }

    /// Returns whether a key source did not answer, or limits its rate: that can pass by itself. Every other error
    /// needs a change.
    pub fn is_unreachable(&self) -> bool {
        match self {
            KeyringError::Source { error, .. }
            | KeyringError::PepperSource { error, .. }
            | KeyringError::MacSource(error) => error.kind().can_pass(),
            _ => false,
        }
    }
}
