//! A state that is made of many entries at once, in little more memory than it takes itself.

use std::collections::BTreeMap;

use hashbrown::DefaultHashBuilder;

use super::{
    Change, ChangeKind, Revocations,
    entry::{Entry, FAN, Key, NEVER, digit, hash},
    filter::Filter,
    live_set::{Counted, Tally},
    log_state::LogState,
    realm_index::RealmIndex,
    table::{LONGEST_CHUNK, Table},
};
use crate::{api_key::ApiKeyId, realm::Realm};

/// The entries so far.
#[derive(Default)]
pub(crate) struct Bulk {
    hasher: DefaultHashBuilder,
    tables: BTreeMap<(Option<Realm>, ChangeKind), Entries>,
    known: LogState,
    tally: Tally,
}

impl Bulk {
    /// Adds an id that is revoked (or suspended), with its key's expiry.
    pub(crate) fn id(&mut self, kind: ChangeKind, realm: Realm, key: Key, expires_at: u32) {
        self.count(kind, Some(realm), &key, expires_at);
        self.put(kind, Some(realm), Entry { key, time: expires_at });
    }

    /// Adds an id that is revoked from a time on.
    pub(crate) fn waiting(&mut self, realm: Realm, key: Key, expires_at: u32, effective_at: u32) {
        self.count(ChangeKind::Revoke, Some(realm), &key, expires_at);
        let expires_at = Some(expires_at).filter(|at| *at != NEVER);
        self.known.waiting.note(effective_at, ApiKeyId::new(realm, key), expires_at);
    }

    /// Adds a rule about an app, or, where the key is blank, about a realm.
    pub(crate) fn rule(&mut self, kind: ChangeKind, realm: Option<Realm>, key: Key, issued_before: u32) {
        self.count(kind, realm, &key, issued_before);
        self.put(kind, realm, Entry { key, time: issued_before });
    }

    /// Adds what a change makes of nothing.
    pub(super) fn change(&mut self, change: Change, effective_at: Option<u32>) {
        let until = |expires_at: Option<u32>| expires_at.filter(|at| *at != 0).unwrap_or(NEVER);
        match change {
            Change::Revoke { id, expires_at } => match effective_at {
                Some(at) => self.waiting(id.realm(), *id.bytes(), until(expires_at), at),
                None => self.id(ChangeKind::Revoke, id.realm(), *id.bytes(), until(expires_at)),
            },
            Change::Suspend { id, expires_at } => {
                self.id(ChangeKind::Suspend, id.realm(), *id.bytes(), until(expires_at));
            }
            Change::RevokeApp { app_id, realm, issued_before } => {
                self.rule(ChangeKind::RevokeApp, realm, app_id.into_bytes(), issued_before);
            }
            Change::RevokeRealm { realm, issued_before } => {
                self.rule(ChangeKind::RevokeRealm, Some(realm), [0; 16], issued_before);
            }
            Change::Resume { .. } | Change::ForgetVersion { .. } => {}
        }
    }

    /// What the entries come to.
    pub(super) fn tally(&mut self) -> &Tally {
        self.tally.settle();
        &self.tally
    }

    /// The state.
    pub(super) fn build(mut self) -> (LogState, Tally) {
        self.tally.settle();
        let mut revocations = Revocations { hasher: self.hasher, ..Revocations::default() };
        let mut realms = BTreeMap::<Realm, RealmIndex>::new();
        for ((realm, kind), entries) in self.tables {
            let Some(realm) = realm else {
                revocations.ruled_before = revocations.ruled_before.max(entries.latest);
                revocations.apps = entries.table(&revocations.hasher);
                continue;
            };
            if matches!(kind, ChangeKind::RevokeApp | ChangeKind::RevokeRealm) {
                revocations.ruled_before = revocations.ruled_before.max(entries.latest);
            }
            let of = realms.entry(realm).or_insert_with(|| RealmIndex::new(realm));
            of.set(kind, entries.latest, || entries.table(&revocations.hasher));
        }
        revocations.realms = realms.into_values().collect();
        revocations.filter = Filter::new(&revocations);
        self.known.revocations = revocations;
        (self.known, self.tally)
    }

    fn count(&mut self, kind: ChangeKind, realm: Option<Realm>, key: &Key, time: u32) {
        self.tally.add(Counted { kind, realm, key }, time);
    }

    fn put(&mut self, kind: ChangeKind, realm: Option<Realm>, entry: Entry) {
        self.tables.entry((realm, kind)).or_default().put(entry, &self.hasher);
    }
}

/// The entries of one table. Many are kept apart by the first digit of their hashes, so that each part is taken apart
/// as the table is put together.
#[derive(Default)]
struct Entries {
    few: Vec<Entry>,
    many: Vec<Vec<Entry>>,
    /// The latest time of any.
    latest: u32,
}

impl Entries {
    fn put(&mut self, entry: Entry, hasher: &DefaultHashBuilder) {
        self.latest = self.latest.max(entry.time);
        if self.many.is_empty() && self.few.len() < LONGEST_CHUNK {
            self.few.push(entry);
            return;
        }
        if self.many.is_empty() {
            self.many = vec![Vec::new(); FAN];
            let few = std::mem::take(&mut self.few);
            few.into_iter().for_each(|entry| self.many[digit(hash(&entry.key, hasher), 0)].push(entry));
        }
        self.many[digit(hash(&entry.key, hasher), 0)].push(entry);
    }

    fn table(self, hasher: &DefaultHashBuilder) -> Table {
        match self.many.is_empty() {
            true => Table::of_few(&self.few, hasher),
            false => Table::of_many(self.many, hasher),
        }
    }
}
