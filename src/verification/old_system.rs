//! Old systems, which are asked about keys that nobody imported.

use std::sync::Arc;

use bulla::Realm;

use crate::config::{Config, OldSystemConfig};

/// The old system of one realm.
#[derive(Clone, Debug)]
pub(crate) struct OldSystem {
    realm: Realm,
    config: Arc<OldSystemConfig>,
}

/// What is known of a text after an old system was asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// It is an imported key now: look again.
    Known,
    /// The text is not a key of the old system.
    Unknown,
    /// The old system could not be asked, or may not be asked so often.
    CouldNotTell,
}

impl OldSystem {
    pub(super) fn new(realm: Realm, config: OldSystemConfig) -> Self {
        OldSystem { realm, config: Arc::new(config) }
    }

    /// Those of a configuration, of realms that accept imported keys.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let of_realm = |realm: Realm| {
            let policy = config.realms.get(realm.as_str()).filter(|policy| policy.accepts_imported())?;
            Some(OldSystem::new(realm, policy.old_system.clone()?))
        };
        config.all_realms().into_iter().filter_map(of_realm).collect()
    }

    /// Those of these realms that may know `text`, the first realm's as the last one.
    pub(super) fn to_ask(all: &[Self], realms: &[Realm], text: &str) -> Vec<Self> {
        let of_realm = |realm: &Realm| all.iter().find(|old| old.realm == *realm && old.config.may_have(text)).cloned();
        realms.iter().rev().filter_map(of_realm).collect()
    }

    /// The realm that its keys become keys of.
    pub(crate) fn realm(&self) -> Realm {
        self.realm
    }

    /// Where it is, and what its keys look like.
    pub(crate) fn config(&self) -> &OldSystemConfig {
        &self.config
    }
}
