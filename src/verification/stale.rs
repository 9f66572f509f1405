//! Revocations that are too old to accept a key by. `server/staleness.rs` decides when, and on an edge
//! `server/edge/staleness.rs`.

use std::sync::Arc;

use bulla::Realm;

/// The realms whose revocations are older than the configuration allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Stale {
    /// None.
    #[default]
    Nothing,
    Everything,
    /// Only these; never empty.
    Realms(Arc<[Realm]>),
}

impl Stale {
    /// Everything, or nothing.
    pub(crate) fn all(is_stale: bool) -> Self {
        if is_stale { Stale::Everything } else { Stale::Nothing }
    }

    /// Returns whether no key of this realm is to be accepted.
    #[inline]
    pub(crate) fn covers(&self, realm: Realm) -> bool {
        match self {
            Stale::Nothing => false,
            Stale::Everything => true,
            Stale::Realms(realms) => realms.contains(&realm),
        }
    }
}
