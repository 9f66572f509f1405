//! What the tables are made of: 16-byte keys, each with a time.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::{api_key::ApiKeyId, clock_difference::CLOCK_DIFFERENCE};

/// An id's bytes, or an app's.
pub(super) type Key = [u8; 16];

/// The expiry of an id that stays.
pub(super) const NEVER: u32 = u32::MAX;

/// Hears of the keys that a change concerns: the time of each before and after it, `None` where it is not there.
pub(super) type Told<'a> = &'a mut dyn FnMut(&Key, Option<u32>, Option<u32>);

/// Children of a branch, and leaves of a chunk.
pub(super) const FAN: usize = 64;

/// 20 bytes: an id and its key's expiry, or an app and the time before which it lost everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) time: u32,
}

/// A change of one key's entry.
pub(super) struct Operation {
    pub(super) hash: u64,
    pub(super) key: Key,
    /// The time to put, unless a later one stands there; `None` removes.
    pub(super) put: Option<u32>,
}

impl Entry {
    /// Returns whether the time has passed for certain, on any clock that is not further behind than allowed.
    pub(super) fn has_expired(&self, now: u64) -> bool {
        self.time != NEVER && now >= u64::from(self.time) + CLOCK_DIFFERENCE
    }
}

impl Operation {
    pub(super) fn put(key: Key, time: u32, hasher: &DefaultHashBuilder) -> Self {
        Operation { hash: hash(&key, hasher), key, put: Some(time) }
    }

    pub(super) fn remove(key: Key, hasher: &DefaultHashBuilder) -> Self {
        Operation { hash: hash(&key, hasher), key, put: None }
    }
}

/// The 16 bytes of an id; its realm says in which table they are.
#[inline]
pub(super) fn key(id: &ApiKeyId) -> Key {
    *id.bytes()
}

#[inline]
pub(super) fn hash(key: &Key, hasher: &DefaultHashBuilder) -> u64 {
    hasher.hash_one(u128::from_ne_bytes(*key))
}

/// The child, of `FAN`, that this hash belongs to at this depth.
#[inline]
pub(super) fn digit(hash: u64, depth: u32) -> usize {
    ((hash << (depth * FAN.ilog2())) >> (u64::BITS - FAN.ilog2())) as usize
}

/// What a block of `bytes` bytes takes from the allocator, as glibc rounds.
pub(super) fn block(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}
