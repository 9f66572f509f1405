//! The edge's own key, and the exports that it opens.

use bulla::{
    Realm,
    keyring::{EdgeKey, Exports},
    source::read_secret_file,
};

use super::EdgeError;
use crate::config::{Config, FollowConfig};

/// Reads the edge's own key.
pub(crate) fn read_edge_key(follow: &FollowConfig) -> Result<EdgeKey, EdgeError> {
    let failed = |error| EdgeError::Key { path: follow.key.clone(), error };
    EdgeKey::parse(&read_secret_file(&follow.key)?).map_err(failed)
}

/// Reads the exports of all realms that there are. One that cannot be used takes nothing away that `before` has.
pub(crate) fn read_exports(config: &Config, follow: &FollowConfig, key: &EdgeKey, before: Exports) -> Exports {
    let trusted = (follow.keyring_id, &follow.public_key);
    Exports::read(&follow.exports, key, trusted, |realm| config.has_realm(realm), before)
}

/// Refuses to begin without the keys of a realm: they would be rejected, as if somebody had made them up.
pub(crate) fn check_complete(
    exports: &Exports,
    realms: impl IntoIterator<Item = Realm>,
    follow: &FollowConfig,
    key: &EdgeKey,
) -> Result<(), EdgeError> {
    match exports.lacking(realms) {
        None => Ok(()),
        Some(realm) => Err(EdgeError::NoExport {
            realm,
            folder: follow.exports.clone(),
            recipient: key.recipient(),
            failed: exports.failed().iter().map(|failed| format!(" ({failed})")).collect(),
        }),
    }
}

/// The realms that an edge verifies.
pub(crate) fn realms_of(config: &Config) -> impl Iterator<Item = Realm> + '_ {
    config.realms.keys().filter_map(|name| name.parse().ok())
}
