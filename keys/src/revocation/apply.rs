//! The next state: what changes and sweeps make of one.

use std::{
    collections::BTreeMap,
    ops::{Range, RangeInclusive},
};

use super::{
    Change, ChangeKind, Revocations,
    change::Pending,
    entry::{FAN, Operation},
    filter::Keys,
    live_set::{Counted, Counter},
    realm_index::RealmIndex,
};
use crate::realm::Realm;

impl Revocations {
    /// The state after these changes; `counter` hears of each entry.
    pub(super) fn after(&self, changes: impl Iterator<Item = Change>, counter: &mut Counter<'_>) -> Self {
        let (mut state, mut apps, mut realms) = (self.clone(), Vec::new(), BTreeMap::<Realm, Pending>::new());
        for change in changes {
            match change {
                Change::RevokeApp { app_id, realm: None, issued_before } => {
                    apps.push(Operation::put(app_id.into_bytes(), issued_before, &self.hasher));
                }
                Change::ForgetVersion { version } => {
                    state = state.settled(&mut apps, &mut realms, counter).without_version(version);
                    counter.forget_version(version);
                }
                Change::Revoke { id, .. } | Change::Suspend { id, .. } | Change::Resume { id } => {
                    realms.entry(id.realm()).or_default().add(change, &self.hasher);
                }
                Change::RevokeApp { realm: Some(realm), .. } | Change::RevokeRealm { realm, .. } => {
                    realms.entry(realm).or_default().add(change, &self.hasher);
                }
            }
            if let Change::RevokeApp { issued_before, .. } | Change::RevokeRealm { issued_before, .. } = change {
                state.ruled_before = state.ruled_before.max(issued_before);
            }
        }
        state.settled(&mut apps, &mut realms, counter)
    }

    /// The state after what is pending, which is then pending no more.
    fn settled(
        &self,
        apps: &mut Vec<Operation>,
        realms: &mut BTreeMap<Realm, Pending>,
        counter: &mut Counter<'_>,
    ) -> Self {
        let mut state = self.clone();
        let of_realms = realms.values().flat_map(|pending| [&pending.revoked, &pending.suspended, &pending.apps]);
        let operations = of_realms.flatten().chain(&*apps);
        let added: Vec<u64> = operations.filter(|one| one.put.is_some()).map(|put| put.hash).collect();
        state.apps = self.apps.with(&mut std::mem::take(apps), &self.hasher, &mut |key, before, after| {
            counter.change(Counted { kind: ChangeKind::RevokeApp, realm: None, key }, before, after);
        });
        if !realms.is_empty() {
            let mut all: BTreeMap<Realm, RealmIndex> = self.realms.iter().map(|of| (of.realm, of.clone())).collect();
            for (realm, pending) in std::mem::take(realms) {
                let of = all.entry(realm).or_insert_with(|| RealmIndex::new(realm));
                *of = of.with(pending, &self.hasher, counter);
            }
            state.realms = all.into_values().filter(|of| of.len() > 0).collect();
        }
        state.filter = self.filter.with(&added, &state);
        state
    }

    fn without_version(&self, version: u32) -> Self {
        self.retain(0..FAN, |of| of.retain(0..FAN, |entry| entry.key[..4] != version.to_be_bytes(), &self.hasher))
    }

    pub(super) fn swept(&self, parts: Range<usize>, now: u64) -> Self {
        self.retain(parts.clone(), |of| of.retain(parts.clone(), |entry| !entry.has_expired(now), &self.hasher))
    }

    /// The state with less in these parts of its tables.
    fn retain(&self, parts: Range<usize>, change: impl Fn(&RealmIndex) -> RealmIndex) -> Self {
        let realms = self.realms.iter().map(change).filter(|of| of.len() > 0).collect();
        let mut state = Revocations { realms, ..self.clone() };
        if state.len() < self.len() {
            state.filter = self.filter.without(parts, &state);
        }
        state
    }
}

impl Keys for Revocations {
    fn count(&self) -> usize {
        self.len()
    }

    fn hashes(&self, range: &RangeInclusive<u64>) -> Vec<u64> {
        let mut hashes = Vec::new();
        self.apps.hashes(range, &self.hasher, &mut hashes);
        self.realms.iter().for_each(|of| of.hashes(range, &self.hasher, &mut hashes));
        hashes
    }
}
