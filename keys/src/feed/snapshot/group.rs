//! The groups that a snapshot's body is made of: entries of one kind, realm, key version and day of expiry.

use std::collections::BTreeMap;

use crate::{
    realm::Realm,
    revocation::{Bulk, ChangeKind, RevocationLog, SnapshotEntry},
};

/// The most bytes of a chunk.
pub(super) const MAX_CHUNK: usize = 1 << 20;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What a group's records have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    kind: u8,
    realm: Option<Realm>,
    version: u32,
    day: u16,
}

impl Group {
    /// The length of a record.
    fn record(&self) -> Option<usize> {
        match self.kind {
            1 | 2 => Some(12),
            3 => Some(20),
            4 => Some(4),
            5 => Some(16),
            _ => None,
        }
    }

    fn write(&self, count: usize, body: &mut Vec<u8>) {
        let realm = self.realm.as_ref().map_or("", Realm::as_str);
        // A realm has 24 characters at most, and a chunk fewer records than 2^32.
        body.extend([self.kind, realm.len() as u8]);
        body.extend(realm.as_bytes());
        body.extend(self.version.to_be_bytes());
        body.extend(self.day.to_be_bytes());
        body.extend((count as u32).to_be_bytes());
    }

    /// The length of its head.
    fn head(&self) -> usize {
        12 + self.realm.as_ref().map_or(0, |realm| realm.as_str().len())
    }

    /// The entry of one record, which has the group's length.
    fn entry(&self, record: &[u8]) -> Option<SnapshotEntry> {
        let id = || {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&self.version.to_be_bytes());
            id[4..].copy_from_slice(record.get(..12)?);
            Some(id)
        };
        let time = |from: usize| Some(u32::from_be_bytes(record.get(from..from + 4)?.try_into().ok()?));
        // The last second of the day.
        let expires_at = u32::try_from((u64::from(self.day) + 1) * DAY - 1).unwrap_or(u32::MAX);
        Some(match self.kind {
            1 => SnapshotEntry::Id(ChangeKind::Revoke, self.realm?, id()?, expires_at),
            2 => SnapshotEntry::Id(ChangeKind::Suspend, self.realm?, id()?, expires_at),
            3 => SnapshotEntry::Rule(ChangeKind::RevokeApp, self.realm, record.get(..16)?.try_into().ok()?, time(16)?),
            4 => SnapshotEntry::Rule(ChangeKind::RevokeRealm, Some(self.realm?), [0; 16], time(0)?),
            5 => SnapshotEntry::Waiting(self.realm?, id()?, expires_at, time(12)?),
            _ => return None,
        })
    }
}

/// The body of what a log says, in one realm or in all; ids of the versions `without` are not in it. Chunk by chunk.
pub(super) fn write(log: &RevocationLog, realm: Option<Realm>, without: &[u32]) -> Vec<Vec<u8>> {
    let mut groups = BTreeMap::<Group, Vec<u8>>::new();
    log.each_entry(realm, &mut |entry| {
        let of_id = |kind, realm, key: &[u8; 16], expires_at: u32| {
            let version = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
            Group { kind, realm: Some(realm), version, day: (u64::from(expires_at) / DAY) as u16 }
        };
        let of_rule = |kind, realm| Group { kind, realm, version: 0, day: 0 };
        let (group, record): (_, &[&[u8]]) = match &entry {
            SnapshotEntry::Id(kind, realm, key, expires_at) => {
                let number = if *kind == ChangeKind::Suspend { 2 } else { 1 };
                (of_id(number, *realm, key, *expires_at), &[&key[4..]])
            }
            SnapshotEntry::Waiting(realm, key, expires_at, at) => {
                (of_id(5, *realm, key, *expires_at), &[&key[4..], &at.to_be_bytes()])
            }
            SnapshotEntry::Rule(ChangeKind::RevokeRealm, realm, _, before) => {
                (of_rule(4, *realm), &[&before.to_be_bytes()])
            }
            SnapshotEntry::Rule(_, realm, key, before) => (of_rule(3, *realm), &[key, &before.to_be_bytes()]),
        };
        if !without.contains(&group.version) || group.version == 0 {
            let records = groups.entry(group).or_default();
            record.iter().for_each(|part| records.extend_from_slice(part));
        }
    });
    let mut chunks = vec![Vec::new()];
    // A group is gone once it is written.
    while let Some((group, mut records)) = groups.pop_first() {
        match group.record() {
            Some(12) => sort::<12>(&mut records),
            Some(16) => sort::<16>(&mut records),
            Some(20) => sort::<20>(&mut records),
            _ => {}
        }
        let length = group.record().unwrap_or(1);
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let last = chunks.last().map_or(0, Vec::len);
            let room = MAX_CHUNK.saturating_sub(last + group.head()) / length;
            if room == 0 {
                chunks.push(Vec::new());
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(room * length));
            if let Some(chunk) = chunks.last_mut() {
                group.write(now.len() / length, chunk);
                chunk.extend_from_slice(now);
            }
            rest = later;
        }
    }
    chunks.retain(|chunk| !chunk.is_empty());
    chunks
}

fn sort<const LENGTH: usize>(records: &mut [u8]) {
    records.as_chunks_mut::<LENGTH>().0.sort_unstable();
}

/// Reads a chunk. False where it does not consist of groups, or one is about another realm than the snapshot.
pub(super) fn read(chunk: &[u8], realm: Option<Realm>, bulk: &mut Bulk) -> bool {
    let mut rest = chunk;
    while !rest.is_empty() {
        let Some((group, records, after)) = split(rest) else { return false };
        if realm.is_some() && group.realm != realm && !(group.kind == 3 && group.realm.is_none()) {
            return false;
        }
        let Some(length) = group.record() else { return false };
        for record in records.chunks_exact(length) {
            let Some(entry) = group.entry(record) else { return false };
            bulk.add(entry);
        }
        rest = after;
    }
    true
}

/// The first group, its records, and what comes after.
fn split(bytes: &[u8]) -> Option<(Group, &[u8], &[u8])> {
    let ([kind, length], rest) = bytes.split_first_chunk::<2>()?;
    let (realm, rest) = rest.split_at_checked(usize::from(*length))?;
    let realm = match realm {
        [] => None,
        realm => Some(std::str::from_utf8(realm).ok()?.parse().ok()?),
    };
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (day, rest) = rest.split_first_chunk::<2>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let group = Group { kind: *kind, realm, version: u32::from_be_bytes(*version), day: u16::from_be_bytes(*day) };
    let is_rule = matches!(kind, 3 | 4);
    if is_rule && (group.version, group.day) != (0, 0) {
        return None;
    }
    let length = (u32::from_be_bytes(*count) as usize).checked_mul(group.record()?)?;
    let (records, after) = rest.split_at_checked(length)?;
    Some((group, records, after))
}
