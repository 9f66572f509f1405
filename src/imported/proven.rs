//! What was found right lately, so that a slow hash is computed once for a key that is presented again and again, and not
//! for each request. A hash of a row never changes, so what was right once stays so; whether the key is revoked or has
//! expired is looked at each time all the same.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use hmac::Mac;
use zeroize::Zeroizing;

use bulla::ApiKeyId;

use super::HmacKey;

/// Entries of one of the two halves; 48 bytes each.
const HALF: usize = 100_000;

/// The last right ones, as MACs under a key that only this process has, and only for its life.
pub(crate) struct Proven {
    key: HmacKey,
    halves: Mutex<[HashSet<[u8; 32]>; 2]>,
    /// Entries of a half.
    half: usize,
}

impl Proven {
    /// None yet.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Self::with_room(HALF)
    }

    fn with_room(half: usize) -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new(vec![0; 32]);
        getrandom::fill(&mut key)?;
        Ok(Proven { key: HmacKey::new(key.to_vec()), halves: Mutex::default(), half })
    }

    /// Whether these bytes were found right for the key of this id.
    pub(super) fn has(&self, id: ApiKeyId, hashed: &[u8]) -> bool {
        let mac = self.mac(id, hashed);
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let [new, old] = &mut *halves;
        // What is still presented moves on, and so outlives the half.
        new.contains(&mac) || (old.remove(&mac) && new.insert(mac))
    }

    /// Notes that they were.
    pub(super) fn note(&self, id: ApiKeyId, hashed: &[u8]) {
        let mac = self.mac(id, hashed);
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves[0].len() >= self.half {
            halves.swap(0, 1);
            halves[0].clear();
        }
        halves[0].insert(mac);
    }

    fn mac(&self, id: ApiKeyId, hashed: &[u8]) -> [u8; 32] {
        let mac = self.key.mac().chain_update(id.to_string()).chain_update([0]).chain_update(hashed);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_presented_again_is_remembered_and_the_rest_is_bounded() {
        let proven = Proven::with_room(1_000).expect("randomness");
        let id = |number| ApiKeyId::unsealed("live".parse().expect("a realm"), [number; 12]);
        assert!(!proven.has(id(1), b"key"));
        proven.note(id(1), b"key");
        assert!(proven.has(id(1), b"key"));
        assert!(!proven.has(id(2), b"key") && !proven.has(id(1), b"kez"));
        proven.note(id(3), b"once");
        for number in 0..3_000u32 {
            proven.note(id(2), &number.to_be_bytes());
            if number % 100 == 0 {
                assert!(proven.has(id(1), b"key"), "{number}");
            }
        }
        assert!(!proven.has(id(3), b"once"));
        let halves = proven.halves.lock().expect("both");
        assert!(halves.iter().all(|half| half.len() <= 1_001));
    }
}
