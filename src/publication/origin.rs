//! Where what is published comes from: a node, or the deployment's own log.

use bulla::{
    feed::{FollowError, HttpSource, MessageSource, SnapshotBytes, VerifyingKey},
    keyring::KeyringId,
};

/// A source of messages, and of snapshots in bytes.
pub(crate) trait Origin: MessageSource {
    /// A snapshot of a moment ago; `None` where there is none.
    fn snapshot_bytes(&self, by: (KeyringId, &VerifyingKey)) -> Result<Option<SnapshotBytes>, FollowError>;
}

impl Origin for HttpSource {
    fn snapshot_bytes(&self, by: (KeyringId, &VerifyingKey)) -> Result<Option<SnapshotBytes>, FollowError> {
        match HttpSource::snapshot_bytes(self, by) {
            Ok(snapshot) => Ok(Some(snapshot)),
            // An older node, or a relay that has none.
            Err(FollowError::Status(404)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
