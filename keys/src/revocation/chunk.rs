//! A chunk of a table: up to some ten thousand entries in 64 leaves.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use hashbrown::DefaultHashBuilder;

use super::entry::{Entry, FAN, Key, Operation, Told, block, digit, hash};

/// Entries in the order of their keys. It never has room to spare: a change makes a new leaf anyway.
type Leaf = Arc<[Entry]>;

#[derive(Clone)]
pub(super) struct Chunk {
    len: usize,
    leaves: [Leaf; FAN],
}

impl Chunk {
    /// A chunk of entries, of which no two have the same key.
    pub(super) fn new(entries: &[Entry], depth: u32, hasher: &DefaultHashBuilder) -> Self {
        let digits: Vec<usize> = entries.iter().map(|entry| digit(hash(&entry.key, hasher), depth)).collect();
        // All leaves in one buffer, one behind the other: first where each begins, and as it fills, where it ends.
        let (mut ends, mut ordered) = ([0; FAN], entries.to_vec());
        digits.iter().for_each(|digit| ends[*digit] += 1);
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        for (entry, digit) in entries.iter().zip(&digits) {
            let end = &mut ends[*digit];
            ordered[*end] = *entry;
            *end += 1;
        }
        let mut rest = ordered.as_mut_slice();
        let mut begin = 0;
        let leaves = ends.map(|end| {
            let (leaf, after) = std::mem::take(&mut rest).split_at_mut(end - begin);
            (rest, begin) = (after, end);
            leaf.sort_unstable();
            Leaf::from(&*leaf)
        });
        Chunk { len: entries.len(), leaves }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What the children of a branch in this chunk's place would hold.
    pub(super) fn leaves(&self) -> &[Leaf; FAN] {
        &self.leaves
    }

    /// The time of a key, where it is here.
    pub(super) fn get(&self, key: &Key, hash: u64, depth: u32) -> Option<u32> {
        let leaf = &self.leaves[digit(hash, depth)];
        leaf.binary_search_by(|entry| entry.key.cmp(key)).ok().map(|at| leaf[at].time)
    }

    /// After `operations`, which are in the order of their hashes. Those on one key keep their order. `told` hears of
    /// each key.
    pub(super) fn with(&self, operations: &mut [Operation], depth: u32, told: Told<'_>) -> Self {
        let mut next = self.clone();
        for group in operations.chunk_by_mut(|a, b| digit(a.hash, depth) == digit(b.hash, depth)) {
            let at = digit(group[0].hash, depth);
            next.replace(at, merge(&next.leaves[at], group, told));
        }
        next
    }

    /// Without the entries of these leaves that are not to be kept; `None` where all are.
    pub(super) fn retain(&self, leaves: Range<usize>, keep: &impl Fn(&Entry) -> bool) -> Option<Self> {
        let mut next = None;
        for at in leaves {
            let leaf = &self.leaves[at];
            if !leaf.iter().all(keep) {
                next.get_or_insert_with(|| self.clone()).replace(at, leaf.iter().copied().filter(keep).collect());
            }
        }
        next
    }

    /// Adds the hashes in `range` to `hashes`.
    pub(super) fn hashes(
        &self,
        range: &RangeInclusive<u64>,
        depth: u32,
        hasher: &DefaultHashBuilder,
        hashes: &mut Vec<u64>,
    ) {
        for leaf in &self.leaves[digit(*range.start(), depth)..=digit(*range.end(), depth)] {
            hashes.extend(leaf.iter().map(|entry| hash(&entry.key, hasher)).filter(|hash| range.contains(hash)));
        }
    }

    /// The bytes of memory behind it.
    pub(super) fn memory(&self) -> usize {
        let leaf = |leaf: &Leaf| if leaf.is_empty() { 0 } else { block(16 + size_of_val::<[Entry]>(leaf)) };
        block(16 + size_of::<Self>()) + self.leaves.iter().map(leaf).sum::<usize>()
    }

    fn replace(&mut self, at: usize, leaf: Leaf) {
        self.len = self.len - self.leaves[at].len() + leaf.len();
        self.leaves[at] = leaf;
    }
}

fn merge(leaf: &[Entry], operations: &mut [Operation], told: Told<'_>) -> Leaf {
    operations.sort_by_key(|operation| operation.key);
    let (mut merged, mut rest) = (Vec::with_capacity(leaf.len() + operations.len()), leaf);
    for operations in operations.chunk_by(|a, b| a.key == b.key) {
        let key = operations[0].key;
        let (before, from) = rest.split_at(rest.partition_point(|entry| entry.key < key));
        let (same, after) = from.split_at(from.partition_point(|entry| entry.key == key));
        let old = same.first().map(|entry| entry.time);
        let time = operations.iter().fold(old, |time, operation| operation.put.and_then(|put| time.max(Some(put))));
        told(&key, old, time);
        merged.extend_from_slice(before);
        merged.extend(time.map(|time| Entry { key, time }));
        rest = after;
    }
    merged.extend_from_slice(rest);
    merged.into()
}
