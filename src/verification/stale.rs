//! Revocations that are too old to accept a key by, or known to lack some. `server/revocations.rs` decides when, and on
//! an edge `server/edge/staleness.rs`.

use std::sync::Arc;

use bulla::Realm;

/// The realms whose revocations are older than the configuration allows, or lack some.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Stale {
    /// None.
    #[default]
    Nothing,
    Everything,
    /// The log has lost its end, as a signed message proves: all realms but the administrators'. Followers read on with
    /// a key of that realm, and hear what is revoked from now on; `server/auth` bounds what else such a key may do.
    LostEnd,
    /// Only these; never empty.
    Realms(Arc<[Realm]>),
}

impl Stale {
    /// Everything, or nothing.
    pub(crate) fn all(is_stale: bool) -> Self {
        if is_stale { Stale::Everything } else { Stale::Nothing }
    }

    /// Returns whether keys of an application are verified, of whatever realm.
    pub(crate) fn is_ready(&self) -> bool {
        !matches!(self, Stale::Everything | Stale::LostEnd)
    }

    /// Returns whether no key of this realm is to be accepted.
    #[inline]
    pub(crate) fn covers(&self, realm: Realm) -> bool {
        match self {
            Stale::Nothing => false,
            Stale::Everything => true,
            Stale::LostEnd => realm != Realm::ADMIN,
            Stale::Realms(realms) => realms.contains(&realm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_lost_its_end_leaves_the_administrators_realm_alone() {
        let live: Realm = "live".parse().expect("a realm");
        for (stale, covers_live, covers_administrators, is_ready) in [
            (Stale::Nothing, false, false, true),
            (Stale::Everything, true, true, false),
            (Stale::LostEnd, true, false, false),
            (Stale::Realms([live].into()), true, false, true),
        ] {
            let covers = (stale.covers(live), stale.covers(Realm::ADMIN));
            assert_eq!(covers, (covers_live, covers_administrators), "{stale:?}");
            assert_eq!(stale.is_ready(), is_ready, "{stale:?}");
        }
    }
}
