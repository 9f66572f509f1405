//! The live set: what a log of revocations comes to at one place, as a count and a digest. Everyone who has read the
//! same log computes the same, in whatever order and in however many steps, and whatever has been forgotten of expired
//! keys.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest, Sha256};

use super::{
    ChangeKind,
    entry::{Key, NEVER},
};
use crate::realm::Realm;

/// Seconds of a day: entries are summed up by the day on which their keys expire.
pub(super) const DAY: u32 = 86_400;

/// What a log of revocations comes to: the ids and rules in it that still count, as a number and a digest.
///
/// An id counts while its key expires on the day `from` or later. Owners and followers of a log forget expired ids when
/// they come to it; nobody has forgotten any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveSet {
    /// The first second of a day, in Unix seconds.
    pub from: u64,
    /// The number of entries.
    pub count: u64,
    /// The sum of their hashes.
    pub digest: LiveDigest,
}

/// The digest of a [`LiveSet`]: 16 bytes, written in hex.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveDigest(u128);

/// A text that is not the digest of a live set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest of the live set is 32 hexadecimal digits")]
pub struct LiveDigestError;

impl LiveSet {
    /// The first second of the day of `now`, in Unix seconds: nobody has forgotten a key that expires from then on.
    pub const fn from_day_of(now: u64) -> u64 {
        now - now % DAY as u64
    }
}

impl std::str::FromStr for LiveDigest {
    type Err = LiveDigestError;

    fn from_str(text: &str) -> Result<Self, LiveDigestError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| LiveDigestError)?;
        Ok(LiveDigest(u128::from_be_bytes(bytes)))
    }
}

impl fmt::Display for LiveDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LiveDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sums over the entries of a log: by realm (none for rules of every realm), key version and day of expiry.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    sums: BTreeMap<Bucket, Sum>,
    /// What was added to one of them last, and is not in it yet: entries that are loaded come one bucket after the
    /// other.
    #[cfg(feature = "follow")]
    latest: Option<(Bucket, Sum)>,
}

/// Realm, key version and day of expiry.
type Bucket = (Option<Realm>, u32, u32);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    digest: u128,
}

/// One entry, before or after a change: an id with the time at which its key expires, or a rule with its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    pub(super) kind: ChangeKind,
    pub(super) realm: Option<Realm>,
    pub(super) key: &'a Key,
}

/// Keeps a tally up to date while changes are made, where there is one.
pub(super) struct Counter<'a>(Option<&'a mut Tally>);

impl<'a> Counter<'a> {
    pub(super) fn of(tally: &'a mut Tally) -> Self {
        Counter(Some(tally))
    }

    pub(super) fn none() -> Self {
        Counter(None)
    }

    /// An entry had one time, and has another.
    pub(super) fn change(&mut self, entry: Counted<'_>, before: Option<u32>, after: Option<u32>) {
        if let Some(tally) = &mut self.0 {
            tally.change(entry, before, after);
        }
    }

    pub(super) fn forget_version(&mut self, version: u32) {
        if let Some(tally) = &mut self.0 {
            tally.forget_version(version);
        }
    }
}

impl Tally {
    /// An entry had one time, and has another; it was not there, or is not there any more, where that is `None`.
    pub(super) fn change(&mut self, entry: Counted<'_>, before: Option<u32>, after: Option<u32>) {
        if before == after {
            return;
        }
        if let Some((bucket, digest)) = before.and_then(|time| entry.at(time)) {
            let sum = self.sums.entry(bucket).or_default();
            *sum = Sum { count: sum.count.wrapping_sub(1), digest: sum.digest.wrapping_sub(digest) };
            if *sum == Sum::default() {
                self.sums.remove(&bucket);
            }
        }
        if let Some((bucket, digest)) = after.and_then(|time| entry.at(time)) {
            let sum = self.sums.entry(bucket).or_default();
            *sum = Sum { count: sum.count.wrapping_add(1), digest: sum.digest.wrapping_add(digest) };
        }
    }

    /// An entry is there that was not.
    #[cfg(feature = "follow")]
    pub(super) fn add(&mut self, entry: Counted<'_>, time: u32) {
        let Some((bucket, digest)) = entry.at(time) else { return };
        if self.latest.is_none_or(|(latest, _)| latest != bucket) {
            self.settle();
        }
        let (_, sum) = self.latest.get_or_insert((bucket, Sum::default()));
        *sum = Sum { count: sum.count.wrapping_add(1), digest: sum.digest.wrapping_add(digest) };
    }

    /// Sums up what was added.
    #[cfg(feature = "follow")]
    pub(super) fn settle(&mut self) {
        if let Some((bucket, added)) = self.latest.take() {
            let sum = self.sums.entry(bucket).or_default();
            *sum = Sum { count: sum.count.wrapping_add(added.count), digest: sum.digest.wrapping_add(added.digest) };
        }
    }

    /// What counts in one realm or in all, from this second on. Ids of these versions do not.
    pub(super) fn live(&self, realm: Option<Realm>, from: u64, without: &[u32]) -> LiveSet {
        let (day, mut total) = (from / u64::from(DAY), Sum::default());
        let all = realm.is_none().then(|| self.sums.iter()).into_iter().flatten();
        let of = |realm| self.sums.range((realm, 0, 0)..=(realm, u32::MAX, u32::MAX));
        let one = realm.map(|realm| of(None).chain(of(Some(realm)))).into_iter().flatten();
        for (_, sum) in
            all.chain(one).filter(|((_, version, of), _)| u64::from(*of) >= day && !without.contains(version))
        {
            total.count = total.count.wrapping_add(sum.count);
            total.digest = total.digest.wrapping_add(sum.digest);
        }
        LiveSet { from, count: total.count, digest: LiveDigest(total.digest) }
    }

    /// Forgets the sums of days that are over: entries of those days may have been forgotten, too.
    pub(super) fn forget_before(&mut self, now: u64) {
        let day = now / u64::from(DAY);
        self.sums.retain(|(_, _, of), _| u64::from(*of) >= day);
    }

    pub(super) fn forget_version(&mut self, version: u32) {
        self.sums.retain(|(_, of, _), _| *of != version);
    }
}

impl Counted<'_> {
    /// Where an entry with this time is summed up, and what it adds; nothing for a rule that revokes nothing.
    fn at(&self, time: u32) -> Option<(Bucket, u128)> {
        let is_rule = matches!(self.kind, ChangeKind::RevokeApp | ChangeKind::RevokeRealm);
        if is_rule && time == 0 {
            return None;
        }
        let (version, day) = match is_rule {
            true => (0, NEVER / DAY),
            false => (u32::from_be_bytes([self.key[0], self.key[1], self.key[2], self.key[3]]), time / DAY),
        };
        let mut hash = Sha256::new();
        hash.update([self.number()]);
        if self.kind != ChangeKind::RevokeRealm {
            hash.update(self.key);
        }
        if is_rule {
            hash.update(time.to_be_bytes());
        }
        if let Some(realm) = &self.realm {
            hash.update(realm.as_slice());
        }
        let hash: [u8; 32] = hash.finalize().into();
        let (first, _) = hash.split_at(16);
        let digest = first.iter().fold(0, |digest, byte| digest << 8 | u128::from(*byte));
        Some(((self.realm, version, day), digest))
    }

    fn number(&self) -> u8 {
        match self.kind {
            ChangeKind::Revoke => 1,
            ChangeKind::Suspend => 2,
            ChangeKind::RevokeApp => 3,
            ChangeKind::RevokeRealm => 4,
            // It takes an entry away, and is none itself.
            ChangeKind::Resume => 0,
        }
    }
}
