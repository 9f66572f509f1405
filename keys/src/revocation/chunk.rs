//! A chunk of a table: up to some ten thousand entries in 64 leaves, behind one filter.

use std::{ops::Range, sync::Arc};

use hashbrown::DefaultHashBuilder;

use super::{
    entry::{Entry, FAN, Key, Operation, block, digit, hash},
    filter::Filter,
};

/// Entries in the order of their keys. It never has room to spare: a change makes a new leaf anyway.
type Leaf = Arc<[Entry]>;

/// It lies in its parent, filter and all, so that the way to the filter leads through few and busy places of memory.
#[derive(Clone)]
pub(super) struct Chunk {
    filter: Filter,
    leaves: Arc<Leaves>,
}

#[derive(Clone)]
struct Leaves {
    len: usize,
    leaves: [Leaf; FAN],
}

impl Chunk {
    /// A chunk of entries, of which no two have the same key.
    pub(super) fn new(entries: &[Entry], depth: u32, hasher: &DefaultHashBuilder) -> Self {
        let hashes: Vec<u64> = entries.iter().map(|entry| hash(&entry.key, hasher)).collect();
        // All leaves in one buffer, one behind the other: first where each begins, and as it fills, where it ends.
        let (mut ends, mut ordered) = ([0; FAN], entries.to_vec());
        hashes.iter().for_each(|hash| ends[digit(*hash, depth)] += 1);
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        for (entry, hash) in entries.iter().zip(&hashes) {
            let end = &mut ends[digit(*hash, depth)];
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
        let filter = Filter::new(entries.len(), hashes.into_iter());
        Chunk { filter, leaves: Arc::new(Leaves { len: entries.len(), leaves }) }
    }

    pub(super) fn len(&self) -> usize {
        self.leaves.len
    }

    /// What the children of a branch in this chunk's place would hold.
    pub(super) fn leaves(&self) -> &[Leaf; FAN] {
        &self.leaves.leaves
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.filter.prefetch(hash);
    }

    /// The time of a key, where it is here.
    #[inline]
    pub(super) fn get(&self, key: &Key, hash: u64, depth: u32) -> Option<u32> {
        if self.filter.may_hold(hash) { self.find(key, hash, depth) } else { None }
    }

    /// The time of a key that the filter does not rule out. Kept apart, so that the way past it stays short.
    #[cold]
    fn find(&self, key: &Key, hash: u64, depth: u32) -> Option<u32> {
        let leaf = &self.leaves()[digit(hash, depth)];
        leaf.binary_search_by(|entry| entry.key.cmp(key)).ok().map(|at| leaf[at].time)
    }

    /// After `operations`, which are in the order of their hashes. Those on one key keep their order.
    pub(super) fn with(&self, operations: &mut [Operation], depth: u32, hasher: &DefaultHashBuilder) -> Self {
        let mut next = Leaves::clone(&self.leaves);
        for group in operations.chunk_by_mut(|a, b| digit(a.hash, depth) == digit(b.hash, depth)) {
            let at = digit(group[0].hash, depth);
            next.replace(at, merge(&next.leaves[at], group));
        }
        let filter = if self.filter.has_room(operations.len()) {
            let mut filter = self.filter.clone();
            filter.add(operations.iter().filter(|operation| operation.put.is_some()).map(|put| put.hash));
            filter
        } else {
            next.filter(hasher)
        };
        Chunk { filter, leaves: Arc::new(next) }
    }

    /// Without the entries of these leaves that are not to be kept; `None` where all are.
    pub(super) fn retain(
        &self,
        leaves: Range<usize>,
        keep: &impl Fn(&Entry) -> bool,
        hasher: &DefaultHashBuilder,
    ) -> Option<Self> {
        let mut next = None;
        for at in leaves {
            let leaf = &self.leaves()[at];
            if !leaf.iter().all(keep) {
                let next = next.get_or_insert_with(|| Leaves::clone(&self.leaves));
                next.replace(at, leaf.iter().copied().filter(keep).collect());
            }
        }
        next.map(|next| Chunk { filter: next.filter(hasher), leaves: Arc::new(next) })
    }

    /// The bytes of memory behind it; those in its parent are the parent's.
    pub(super) fn memory(&self) -> usize {
        let leaf = |leaf: &Leaf| if leaf.is_empty() { 0 } else { block(16 + size_of_val::<[Entry]>(leaf)) };
        self.filter.memory() + block(16 + size_of::<Leaves>()) + self.leaves().iter().map(leaf).sum::<usize>()
    }
}

impl Leaves {
    fn replace(&mut self, at: usize, leaf: Leaf) {
        self.len = self.len - self.leaves[at].len() + leaf.len();
        self.leaves[at] = leaf;
    }

    /// A new filter over all of them.
    fn filter(&self, hasher: &DefaultHashBuilder) -> Filter {
        let entries = self.leaves.iter().flat_map(|leaf| leaf.iter());
        Filter::new(self.len, entries.map(|entry| hash(&entry.key, hasher)))
    }
}

fn merge(leaf: &[Entry], operations: &mut [Operation]) -> Leaf {
    operations.sort_by_key(|operation| operation.key);
    let (mut merged, mut rest) = (Vec::with_capacity(leaf.len() + operations.len()), leaf);
    for operations in operations.chunk_by(|a, b| a.key == b.key) {
        let key = operations[0].key;
        let (before, from) = rest.split_at(rest.partition_point(|entry| entry.key < key));
        let (same, after) = from.split_at(from.partition_point(|entry| entry.key == key));
        let old = same.first().map(|entry| entry.time);
        let time = operations.iter().fold(old, |time, operation| operation.put.and_then(|put| time.max(Some(put))));
        merged.extend_from_slice(before);
        merged.extend(time.map(|time| Entry { key, time }));
        rest = after;
    }
    merged.extend_from_slice(rest);
    merged.into()
}
