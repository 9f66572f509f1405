//! A table from 16-byte keys to times: a trie over the keys' hashes, of which a change copies one path.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use hashbrown::DefaultHashBuilder;

use super::{
    chunk::Chunk,
    entry::{Entry, FAN, Key, Operation, Told, block, digit},
};

/// A longer chunk becomes a branch of 64 chunks; a branch that comes down to a quarter of it becomes a chunk again.
pub(super) const LONGEST_CHUNK: usize = 24 * 1024;

/// Where chunks grow without end: no hash has digits enough for more, and none that is worth its name comes here.
const DEEPEST: u32 = 8;

#[derive(Clone, Default)]
pub(super) struct Table {
    root: Option<Node>,
}

#[derive(Clone)]
enum Node {
    Branch(Arc<Branch>),
    Chunk(Arc<Chunk>),
}

#[derive(Clone)]
struct Branch {
    len: usize,
    children: [Node; FAN],
}

impl Table {
    /// A table of entries, of which no two have the same key: no more than a chunk holds.
    #[cfg(feature = "follow")]
    pub(super) fn of_few(entries: &[Entry], hasher: &DefaultHashBuilder) -> Self {
        Table { root: Some(Node::new(entries, 0, hasher)).filter(|root| root.len() > 0) }
    }

    /// The same, of more entries, `FAN` parts of them by the first digit of their hashes.
    #[cfg(feature = "follow")]
    pub(super) fn of_many(parts: Vec<Vec<Entry>>, hasher: &DefaultHashBuilder) -> Self {
        let len = parts.iter().map(Vec::len).sum();
        // A part is gone once its node is there.
        let mut parts = parts.into_iter();
        let children = std::array::from_fn(|_| Node::new(&parts.next().unwrap_or_default(), 1, hasher));
        Table { root: Some(Node::Branch(Arc::new(Branch { len, children }))) }
    }

    /// The time of the key, whose hash is this.
    pub(super) fn get(&self, key: &Key, hash: u64) -> Option<u32> {
        let (mut node, mut depth) = (self.root.as_ref()?, 0);
        loop {
            match node {
                Node::Chunk(chunk) => return chunk.get(key, hash, depth),
                Node::Branch(branch) => node = &branch.children[digit(hash, depth)],
            }
            depth += 1;
        }
    }

    /// After `operations`; those on one key count in their order. `told` hears of each key.
    pub(super) fn with(&self, operations: &mut [Operation], hasher: &DefaultHashBuilder, told: Told<'_>) -> Self {
        if operations.is_empty() {
            return self.clone();
        }
        operations.sort_by_key(|operation| operation.hash);
        let root = match &self.root {
            Some(root) => root.with(operations, 0, hasher, told),
            None => Node::new(&[], 0, hasher).with(operations, 0, hasher, told),
        };
        Table { root: Some(root).filter(|root| root.len() > 0) }
    }

    /// Only what is to be kept, as far as it lies in these parts of `FAN`; the others as they are.
    pub(super) fn retain(
        &self,
        parts: Range<usize>,
        keep: impl Fn(&Entry) -> bool,
        hasher: &DefaultHashBuilder,
    ) -> Self {
        let root = self.root.as_ref().map(|root| root.retain(parts, &keep, 0, hasher));
        Table { root: root.filter(|root| root.len() > 0) }
    }

    /// Adds the hashes in `range` to `hashes`. Its length is a power of two, and it begins at a multiple of it.
    pub(super) fn hashes(&self, range: &RangeInclusive<u64>, hasher: &DefaultHashBuilder, hashes: &mut Vec<u64>) {
        if let Some(root) = &self.root {
            root.hashes(range, 0, hasher, hashes);
        }
    }

    /// Shows every entry, in no order.
    pub(super) fn for_each(&self, show: &mut dyn FnMut(&Entry)) {
        if let Some(root) = &self.root {
            root.for_each(show);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, Node::len)
    }

    pub(super) fn memory(&self) -> usize {
        self.root.as_ref().map_or(0, Node::memory)
    }
}

impl Node {
    fn new(entries: &[Entry], depth: u32, hasher: &DefaultHashBuilder) -> Self {
        Self::of_chunk(Chunk::new(entries, depth, hasher), depth, hasher)
    }

    /// The chunk, or a branch in its place where it is too long.
    fn of_chunk(chunk: Chunk, depth: u32, hasher: &DefaultHashBuilder) -> Self {
        if chunk.len() <= LONGEST_CHUNK || depth == DEEPEST {
            return Node::Chunk(Arc::new(chunk));
        }
        let children = chunk.leaves().each_ref().map(|leaf| Node::new(leaf, depth + 1, hasher));
        Node::Branch(Arc::new(Branch { len: chunk.len(), children }))
    }

    fn with(&self, operations: &mut [Operation], depth: u32, hasher: &DefaultHashBuilder, told: Told<'_>) -> Self {
        match self {
            Node::Chunk(chunk) => Self::of_chunk(chunk.with(operations, depth, told), depth, hasher),
            Node::Branch(branch) => {
                let mut next = Branch::clone(branch);
                for group in operations.chunk_by_mut(|a, b| digit(a.hash, depth) == digit(b.hash, depth)) {
                    let at = digit(group[0].hash, depth);
                    next.replace(at, next.children[at].with(group, depth + 1, hasher, told));
                }
                Node::Branch(Arc::new(next))
            }
        }
    }

    fn retain(
        &self,
        parts: Range<usize>,
        keep: &impl Fn(&Entry) -> bool,
        depth: u32,
        hasher: &DefaultHashBuilder,
    ) -> Self {
        match self {
            Node::Chunk(chunk) => {
                chunk.retain(parts, keep).map_or_else(|| self.clone(), |chunk| Node::Chunk(Arc::new(chunk)))
            }
            Node::Branch(branch) => {
                let mut next = Branch::clone(branch);
                for at in parts {
                    next.replace(at, next.children[at].retain(0..FAN, keep, depth + 1, hasher));
                }
                if next.len > LONGEST_CHUNK / 4 {
                    return Node::Branch(Arc::new(next));
                }
                let mut entries = Vec::with_capacity(next.len);
                next.children.iter().for_each(|child| child.gather(&mut entries));
                Node::new(&entries, depth, hasher)
            }
        }
    }

    fn gather(&self, entries: &mut Vec<Entry>) {
        match self {
            Node::Chunk(chunk) => chunk.leaves().iter().for_each(|leaf| entries.extend_from_slice(leaf)),
            Node::Branch(branch) => branch.children.iter().for_each(|child| child.gather(entries)),
        }
    }

    fn hashes(&self, range: &RangeInclusive<u64>, depth: u32, hasher: &DefaultHashBuilder, hashes: &mut Vec<u64>) {
        match self {
            Node::Chunk(chunk) => chunk.hashes(range, depth, hasher, hashes),
            // Children inside the range lie in it from the first digit to the last, as it is so long and begins there.
            Node::Branch(branch) => {
                let children = digit(*range.start(), depth)..=digit(*range.end(), depth);
                branch.children[children].iter().for_each(|child| child.hashes(range, depth + 1, hasher, hashes));
            }
        }
    }

    fn for_each(&self, show: &mut dyn FnMut(&Entry)) {
        match self {
            Node::Chunk(chunk) => chunk.leaves().iter().flat_map(|leaf| leaf.iter()).for_each(show),
            Node::Branch(branch) => branch.children.iter().for_each(|child| child.for_each(show)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Node::Chunk(chunk) => chunk.len(),
            Node::Branch(branch) => branch.len,
        }
    }

    fn memory(&self) -> usize {
        match self {
            Node::Chunk(chunk) => chunk.memory(),
            Node::Branch(branch) => {
                block(16 + size_of::<Branch>()) + branch.children.iter().map(Node::memory).sum::<usize>()
            }
        }
    }
}

impl Branch {
    fn replace(&mut self, at: usize, child: Node) {
        self.len = self.len - self.children[at].len() + child.len();
        self.children[at] = child;
    }
}
