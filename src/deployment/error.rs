//! Why a deployment cannot be opened, or its keyring not be changed.

use std::{io, path::PathBuf, time::Duration};

use bulla::{
    keyring::{ExportError, KeyVersion, KeyringError},
    source::SourceError,
};
use jiff::Timestamp;

use crate::{
    assertion::AssertionError,
    config::{ConfigError, Span},
    imported::OldSecretError,
    store::StoreError,
    tls::ListenerTlsError,
    verification::ImportedKeysError,
};

/// The deployment cannot be opened, or its keyring cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeploymentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "this is the configuration of an edge or a relay, because it has [follow], and these have neither store nor keyring: \
         do this where a node's configuration is"
    )]
    Follows,
    #[error(
        "cannot read the keyring {path}: {error}; put it back from the backup. Only a new deployment makes one: `bulla init` a \
         whole one, `bulla keyring init` a keyring for a written configuration"
    )]
    KeyringRead { path: PathBuf, error: io::Error },
    #[error(
        "the keyring {path} is gone, and the store knows it ({known}, with {keys} API keys on record): put it back from the \
         backup. A new keyring over the same master keys is another one, and makes all of these API keys invalid for good"
    )]
    KeyringLost { path: PathBuf, known: String, keys: u64 },
    #[error("the keyring {0} exists, and nothing is overwritten")]
    KeyringExists(PathBuf),
    #[error(
        "the store knows another keyring ({known}, with {keys} API keys on record): put that one back from the backup. A new one \
         makes all of these API keys invalid for good, also over the same master keys"
    )]
    KeyringKnown { known: String, keys: u64 },
    #[error("cannot write the keyring {path}: {error}")]
    KeyringWrite { path: PathBuf, error: io::Error },
    #[error(
        "the keyring {path} is changed, and the change is in force, but the disk did not confirm it ({error}): after a power \
         failure the keyring may be as it was before. Check the disk, and run `bulla keyring show`"
    )]
    KeyringUnconfirmed { path: PathBuf, error: io::Error },
    #[error("the keyring {0} is read-only here: change it where it is written, and put it in place again")]
    KeyringReadOnly(PathBuf),
    #[error(
        "another process has held {lock} for {limit:?}: see which (`fuser {lock}`), and end it if it hangs; the keyring is as it was"
    )]
    KeyringLocked { lock: PathBuf, limit: Duration },
    #[error("other processes kept changing the keyring while the key sources were asked: try again")]
    KeyringBusy,
    #[error("keyring.source is `{0}`: it must be file:PATH")]
    KeyringPlace(String),
    #[error(
        "version {version} was staged at {staged_at}, less than the refresh interval of {interval} ago: verifiers that have \
         not seen it yet would reject its API keys; wait, or activate it by force"
    )]
    NotEverywhere { version: KeyVersion, staged_at: Timestamp, interval: Span },
    #[error(
        "version {version} is not loaded by {names}: they would reject its API keys. See `bulla fleet`; one that is gone for good \
         is forgotten with `bulla fleet forget NAME`"
    )]
    NotLoaded { version: KeyVersion, names: String },
    #[error(
        "version {version} was staged at {staged_at}, and it is {now} here: one of the two clocks is wrong, so nobody can tell \
         whether every verifier has it; compare `keyring_serial` in the /readyz of all services before you activate it"
    )]
    StagedAhead { version: KeyVersion, staged_at: Timestamp, now: Timestamp },
    #[error(
        "the master key of version {version} is a key of {setting} as well: every purpose needs its own key, so stage a version with \
         another one; a version of no more use ends with `bulla keyring destroy {version}`"
    )]
    SharedKey { version: KeyVersion, setting: &'static str },
    #[error(
        "{one} and {other} hold the same key: every purpose needs its own key, and so does every version of the pepper. Make \
         another one for one of them, `head -c 32 /dev/urandom | base64`; a pepper that hashes are under stays, as an old version"
    )]
    EqualKeys { one: String, other: String },
    #[error("feed.signing_key: {0}")]
    FeedKey(SourceError),
    #[error("an export is signed by the feed's key, which edges trust, and feed.signing_key is not set: set it")]
    ExportUnsigned,
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("assertion.signing_keys: {0}")]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Tls(#[from] ListenerTlsError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    OldSecret(#[from] OldSecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ImportedKeysError> for DeploymentError {
    fn from(error: ImportedKeysError) -> Self {
        match error {
            ImportedKeysError::Store(error) => error.into(),
            ImportedKeysError::OldSecret(error) => error.into(),
        }
    }
}
