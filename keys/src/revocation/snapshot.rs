//! What a log says at one place, written down and loaded again as a whole.

use super::{
    Bulk, ChangeKind, LiveSet, RevocationLog,
    entry::{Key, NEVER},
};
use crate::realm::Realm;

/// An entry that is written down: what [`Bulk`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotEntry {
    /// Revoked or suspended, with the expiry of its key.
    Id(ChangeKind, Realm, Key, u32),
    /// Revoked from a time on, with the expiry of its key before it.
    Waiting(Realm, Key, u32, u32),
    /// About an app, or, where the key is blank, about a realm.
    Rule(ChangeKind, Option<Realm>, Key, u32),
}

impl Bulk {
    /// Adds an entry.
    pub(crate) fn add(&mut self, entry: SnapshotEntry) {
        match entry {
            SnapshotEntry::Id(kind, realm, key, expires_at) => self.id(kind, realm, key, expires_at),
            SnapshotEntry::Waiting(realm, key, expires_at, at) => self.waiting(realm, key, expires_at, at),
            SnapshotEntry::Rule(kind, realm, key, before) => self.rule(kind, realm, key, before),
        }
    }

    /// What the entries come to, as [`RevocationLog::live`] says it.
    pub(crate) fn live(&mut self, realm: Option<Realm>, from: u64, without: &[u32]) -> LiveSet {
        self.tally().live(realm, from, without)
    }
}

impl RevocationLog {
    /// Shows every entry that this log said until now, and that concerns the realm, in no order.
    pub(crate) fn each_entry(&self, realm: Option<Realm>, show: &mut dyn FnMut(SnapshotEntry)) {
        let concerns = |of: Option<Realm>| realm.is_none() || of.is_none() || of == realm;
        self.known.revocations.for_each(&mut |kind, of, entry| match (kind, of) {
            _ if !concerns(of) => {}
            (ChangeKind::Revoke | ChangeKind::Suspend, Some(of)) => {
                show(SnapshotEntry::Id(kind, of, entry.key, entry.time));
            }
            _ => show(SnapshotEntry::Rule(kind, of, entry.key, entry.time)),
        });
        for (id, at) in self.known.waiting.iter().filter(|(id, _)| concerns(Some(id.realm()))) {
            let expires_at = self.known.waiting.get(&id).and_then(|(_, expires_at)| expires_at);
            show(SnapshotEntry::Waiting(id.realm(), *id.bytes(), expires_at.unwrap_or(NEVER), at));
        }
    }

    /// Goes to a place, in the place of what this log said until now. Revocations that were known before a restart stay
    /// in force.
    pub(crate) fn load(&mut self, bulk: Bulk, seq: u64, now: u64) {
        (self.known, self.tally) = bulk.build();
        (self.seq, self.end) = (seq, self.end.max(seq));
        self.due(now);
        if let Some(kept) = &mut self.kept {
            let (changes, waiting) = self.known.beyond(kept);
            kept.add(&changes, waiting, now);
            if self.at_end() {
                self.keep_only_more(now);
            }
        }
    }
}
