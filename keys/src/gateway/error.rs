//! Why a gate cannot be opened, started or used.

use std::{io, path::PathBuf};

use super::RequiredError;
use crate::{
    feed::{FeedError, FollowError, FollowerError},
    keyring::{ExportError, KeyringError, Recipient},
    realm::Realm,
    source::SecretFileError,
};

/// What failed at a gate, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The settings do not parse, or contradict themselves.
    #[error("the gate's settings: {0}")]
    Settings(String),
    /// A file with a secret.
    #[error("{0}")]
    SecretFile(#[from] SecretFileError),
    /// The keyring, or a key source.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The gate's own key.
    #[error("{name}: {error}")]
    Key {
        /// The file.
        name: String,
        /// What is wrong with it.
        error: ExportError,
    },
    /// A realm without its keys.
    #[error(
        "there is no export of the realm {realm} for this gate in {folder}{failed}: export the realm where the keyring is, \
         sealed to {recipient}, and put the file there"
    )]
    NoExport {
        /// The realm.
        realm: Realm,
        /// The folder of the exports.
        folder: PathBuf,
        /// To whom an export must be sealed.
        recipient: Recipient,
        /// Why other files were not used.
        failed: String,
    },
    /// A source of the feed.
    #[error(transparent)]
    Source(#[from] FollowerError),
    /// The requirements of a route.
    #[error(transparent)]
    Required(#[from] RequiredError),
    /// No key of this realm could ever be accepted.
    #[error("the route requires the realm `{0}`, and the gate's settings have no [realms.{0}]")]
    UnknownRealm(Realm),
    /// The requirements name no realm, and neither do the settings.
    #[error(
        "the route names no realm, and verify.default_realms in the gate's settings is empty: name one with `realm:NAME`"
    )]
    NoRealm,
    /// It runs already.
    #[error("the gate was started already, in this process: stop it first")]
    Started,
    /// The process forked after the start.
    #[error(
        "the gate was started in process {0}, and this one was forked from it: its threads are not here. Open before the fork, and \
         start after it"
    )]
    Forked(u32),
    /// The gate follows no feed.
    #[error("the gate follows no feed, so it has no use for its messages: add [follow] to its settings")]
    NoFeed,
    /// A message of the feed was refused. The revocations stay in force.
    #[error(transparent)]
    Message(#[from] FeedError),
    /// The feed brought nothing.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The system starts no thread.
    #[error("cannot start the gate's threads: {0}")]
    Thread(io::Error),
}
