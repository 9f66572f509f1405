//! Every entry of a state: for writing one down.

use super::{
    Change, ChangeKind, Revocations,
    entry::{Entry, NEVER},
};
use crate::{api_key::ApiKeyId, realm::Realm};

impl Revocations {
    /// Shows every entry, in no order: its kind, its realm (none for a rule of every realm), and the key with its time. The
    /// key of a rule about a realm is blank.
    pub(super) fn for_each(&self, show: &mut dyn FnMut(ChangeKind, Option<Realm>, &Entry)) {
        self.apps.for_each(&mut |entry| show(ChangeKind::RevokeApp, None, entry));
        for of in self.realms.iter() {
            of.for_each(&mut |kind, entry| show(kind, Some(of.realm), entry));
        }
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
