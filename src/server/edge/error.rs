//! Why an edge cannot start.

use std::{io, path::PathBuf};

use bulla::{
    feed::{FollowerError, StateFolderError},
    keyring::{ExportError, Recipient},
    source::SecretFileError,
};

use crate::{deployment::DeploymentError, publication::PlaceError};

/// An edge cannot start: what is missing, and where it comes from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EdgeError {
    #[error("the configuration has no [follow]: `bulla edge init` writes one, docs/EDGES.md shows it")]
    NoFollow,
    #[error("follow.sources is empty: name the nodes or relays whose feed this edge follows")]
    NoSource,
    #[error("the configuration has no [realms.NAME]: name the realms that this edge verifies")]
    NoRealm,
    #[error("{0}")]
    SecretFile(#[from] SecretFileError),
    #[error("{path}: {error}")]
    Key { path: PathBuf, error: ExportError },
    #[error(
        "follow.api_key is not set, and {0} is asked with an API key: issue one with the scope feed, and name its file"
    )]
    NoApiKey(String),
    #[error(
        "{0}: expected one line, an API key (`bulla issue` prints it) or a relay token (`bulla edge caller` prints it)"
    )]
    ApiKey(PathBuf),
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Source(#[from] FollowerError),
    #[error("follow.sources: {0}")]
    Bucket(PlaceError),
    #[error(
        "there is no export of the realm {realm} for this edge in {folder}{failed}: make one for \
         {recipient} where the keyring is, with `bulla keyring export`, and put it there"
    )]
    NoExport { realm: bulla::Realm, folder: PathBuf, recipient: Recipient, failed: String },
    #[error(transparent)]
    State(#[from] StateFolderError),
    #[error("the system's random generator failed: {0}")]
    Random(io::Error),
    #[error(transparent)]
    Parts(#[from] DeploymentError),
    #[error(
        "this relay is at its limit of realms: ask for a realm that it follows, or for all of them without `realm`"
    )]
    TooManyStreams,
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}
