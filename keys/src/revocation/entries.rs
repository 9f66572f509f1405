//! Every entry of a state: for comparing two of them, and for writing one down.

use super::{
    Change, ChangeKind, Revocations,
    entry::{Entry, NEVER, hash},
};
use crate::{api_key::ApiKeyId, realm::Realm};

impl Revocations {
    /// Shows every entry, in no order: its kind, its realm (none for a rule of every realm), and the key with its time.
    /// The key of a rule about a realm is blank.
    pub(super) fn for_each(&self, show: &mut dyn FnMut(ChangeKind, Option<Realm>, &Entry)) {
        self.apps.for_each(&mut |entry| show(ChangeKind::RevokeApp, None, entry));
        for of in self.realms.iter() {
            of.for_each(&mut |kind, entry| show(kind, Some(of.realm), entry));
        }
    }

    /// What there is in this state and not in the other, or there with an earlier time: the changes that add it.
    pub(super) fn beyond(&self, other: &Revocations) -> Vec<Change> {
        let mut changes = Vec::new();
        self.for_each(&mut |kind, realm, entry| {
            let hash = hash(&entry.key, &other.hasher);
            let there = match realm {
                Some(realm) => other.realm_index(&realm).and_then(|of| of.time(kind, &entry.key, hash)),
                None => other.apps.get(&entry.key, hash),
            };
            if there.is_none_or(|there| there < entry.time) {
                changes.extend(change(kind, realm, entry));
            }
        });
        changes
    }
}

/// The change that makes an entry.
pub(super) fn change(kind: ChangeKind, realm: Option<Realm>, entry: &Entry) -> Option<Change> {
    let expires_at = Some(entry.time).filter(|time| *time != NEVER);
    let id = realm.map(|realm| ApiKeyId::new(realm, entry.key));
    match kind {
        ChangeKind::Revoke => Some(Change::Revoke { id: id?, expires_at }),
        ChangeKind::Suspend => Some(Change::Suspend { id: id?, expires_at }),
        ChangeKind::Resume => None,
        ChangeKind::RevokeApp => {
            Some(Change::RevokeApp { app_id: uuid::Uuid::from_bytes(entry.key), realm, issued_before: entry.time })
        }
        ChangeKind::RevokeRealm => Some(Change::RevokeRealm { realm: realm?, issued_before: entry.time }),
    }
}
