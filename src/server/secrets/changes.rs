//! Which secret halves were changed lately: what was remembered of them before no longer counts. A node reads it from its
//! store, and an edge hears it from a node.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bulla::ApiKeyId;
use tokio::sync::watch;

use crate::store::{SecretChanges, Store, StoreError};

/// More changes are not told one by one.
const MAX_TOLD: usize = 10_000;

/// Keys whose secret halves changed, for as long as a proof from before may be remembered.
pub(in crate::server) struct Changes {
    seen: Mutex<RecentChanges>,
    /// Grows where numbers may be given out again: no proof of an earlier era counts. Each check reads it.
    era: AtomicU64,
    /// For those who wait for more.
    end: watch::Sender<u64>,
}

struct RecentChanges {
    /// Everything that was changed up to here has been seen.
    seq: u64,
    /// No change behind this number was forgotten.
    since: u64,
    newest: HashMap<ApiKeyId, u64>,
    /// The same in the order in which they were read, with when that was, by a monotonic clock, as proofs are
    /// remembered by.
    order: VecDeque<(u64, ApiKeyId, Instant)>,
}

impl Changes {
    /// Knows the store as it is now.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        store.secret_changes(u64::MAX >> 1).map(|changes| Changes::at(changes.end))
    }

    /// Knows of no change, and that up to `seq` there is none to know.
    pub(in crate::server) fn at(seq: u64) -> Self {
        let seen = RecentChanges { seq, since: seq, newest: HashMap::new(), order: VecDeque::new() };
        Changes { seen: Mutex::new(seen), era: AtomicU64::new(0), end: watch::Sender::new(seq) }
    }

    /// Reads what the store has more.
    pub(super) fn follow(&self, store: &dyn Store, remembered: Duration) -> Result<(), StoreError> {
        // The store is asked without the lock, which requests take: a store that hangs must not hold them.
        let before = self.seen();
        let changes = store.secret_changes(before)?;
        self.note(before, changes, remembered);
        Ok(())
    }

    /// Notes all changes behind `before`, for twice as long as proofs are remembered.
    pub(in crate::server) fn note(&self, before: u64, changes: SecretChanges, remembered: Duration) {
        let now = Instant::now();
        let mut seen = self.lock();
        for (seq, id) in changes.changed.into_iter().filter(|(seq, _)| *seq > seen.seq).collect::<Vec<_>>() {
            let newest = seen.newest.entry(id).or_insert(seq);
            *newest = seq.max(*newest);
            seen.order.push_back((seq, id, now));
        }
        if changes.end < before {
            // This is another store. What ended by the one before stays ended.
            (seen.seq, seen.since) = (changes.end, changes.end);
            self.begin_era();
        } else {
            // Another thread may have read further meanwhile.
            seen.seq = seen.seq.max(changes.end);
        }
        seen.forget_read_before(now.checked_sub(remembered.saturating_mul(2)));
        let end = seen.seq;
        // Under the lock, so that the last one to tell tells the newest.
        self.end.send_if_modified(|known| std::mem::replace(known, end) != end);
    }

    /// Begins another era: the store may give numbers out again.
    pub(super) fn begin_era(&self) {
        self.era.fetch_add(1, Ordering::Release);
    }

    /// The era in which proofs are remembered now.
    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Everything that was changed up to this number has been seen.
    pub(in crate::server) fn seen(&self) -> u64 {
        self.lock().seq
    }

    /// How many are known.
    pub(in crate::server) fn count(&self) -> usize {
        self.lock().order.len()
    }

    /// Tells how far they have been seen.
    pub(in crate::server) fn watch(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Returns whether the key's secret half was changed behind `seq`.
    pub(in crate::server) fn is_newer(&self, id: &ApiKeyId, seq: u64) -> bool {
        self.lock().newest.get(id).is_some_and(|newest| *newest > seq)
    }

    /// Returns whether every change behind `seq` is known.
    pub(in crate::server) fn knows_all_behind(&self, seq: u64) -> bool {
        seq >= self.lock().since
    }

    /// How far they have been seen, and the changes behind `after`; none where not all of them are known, or they are
    /// many.
    pub(in crate::server) fn behind(&self, after: u64) -> (u64, Option<Vec<(u64, ApiKeyId)>>) {
        let seen = self.lock();
        let behind = seen.order.iter().rev().take_while(|(seq, ..)| *seq > after).take(MAX_TOLD + 1);
        let behind = (after >= seen.since).then(|| behind.map(|(seq, id, _)| (*seq, *id)).collect::<Vec<_>>());
        (seen.seq, behind.filter(|behind| behind.len() <= MAX_TOLD))
    }

    fn lock(&self) -> MutexGuard<'_, RecentChanges> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecentChanges {
    fn forget_read_before(&mut self, limit: Option<Instant>) {
        let Some(limit) = limit else { return };
        while let Some((seq, id, _)) = self.order.pop_front_if(|(.., at)| *at < limit) {
            self.since = self.since.max(seq);
            if self.newest.get(&id) == Some(&seq) {
                self.newest.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn id(number: u64) -> ApiKeyId {
        format!("live_00000X{number:016}").parse().expect("an id")
    }

    fn changes(changed: &[u64], end: u64) -> SecretChanges {
        SecretChanges { changed: changed.iter().map(|seq| (*seq, id(*seq))).collect(), end }
    }

    #[test]
    fn an_era_ends_where_numbers_are_given_out_again() {
        let all = Changes::at(7);
        all.note(7, changes(&[8], 8), LONG);
        assert_eq!(all.era(), 0);
        all.note(8, changes(&[], 5), LONG);
        assert_eq!((all.era(), all.seen()), (1, 5), "a store that lost its end");
        all.begin_era();
        assert_eq!(all.era(), 2);
    }

    #[test]
    fn a_follower_hears_of_each_change_behind_its_place() {
        let all = Changes::at(7);
        assert_eq!(all.behind(7), (7, Some(Vec::new())));
        assert_eq!(all.behind(6), (7, None), "what was changed before is not known");
        assert!(all.knows_all_behind(7) && !all.knows_all_behind(6));
        all.note(7, changes(&[8, 9, 11], 12), LONG);
        assert_eq!(all.behind(8), (12, Some(vec![(11, id(11)), (9, id(9))])));
        assert_eq!(all.behind(12), (12, Some(Vec::new())));
        assert_eq!(all.behind(13), (12, Some(Vec::new())), "the place is ahead");
        // Another thread read the same, and less of it.
        all.note(7, changes(&[8, 9], 9), LONG);
        assert_eq!(all.behind(7).1.map(|changed| changed.len()), Some(3));
        assert!(all.is_newer(&id(9), 8) && !all.is_newer(&id(9), 9) && !all.is_newer(&id(10), 0));
    }

    #[test]
    fn what_was_forgotten_is_not_passed_off_as_nothing() {
        let all = Changes::at(0);
        all.note(0, changes(&[1, 2], 2), Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        all.note(2, changes(&[3], 3), Duration::ZERO);
        assert_eq!((all.behind(1), all.behind(2)), ((3, None), (3, Some(vec![(3, id(3))]))));
        assert_eq!((all.is_newer(&id(1), 0), all.is_newer(&id(3), 0), all.count()), (false, true, 1));
    }

    #[test]
    fn many_changes_are_not_told_one_by_one() {
        let all = Changes::at(0);
        let many: Vec<u64> = (1..=MAX_TOLD as u64 + 1).collect();
        all.note(0, changes(&many, MAX_TOLD as u64 + 1), LONG);
        assert_eq!(all.behind(0).1, None);
        assert_eq!(all.behind(1).1.map(|changed| changed.len()), Some(MAX_TOLD));
    }

    #[test]
    fn another_store_ends_nothing_that_was_ended() {
        let all = Changes::at(10);
        all.note(10, changes(&[11], 11), LONG);
        all.note(11, changes(&[], 3), LONG);
        assert!(all.is_newer(&id(11), 10));
        assert_eq!(all.behind(2), (3, None));
        all.note(3, changes(&[4], 4), LONG);
        assert_eq!(all.seen(), 4);
        assert!(all.behind(3).1.is_some_and(|changed| changed.contains(&(4, id(4)))));
    }
}
